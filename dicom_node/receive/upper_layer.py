"""The upper layer (PS3.8) of an association with limits on length, time and number of PDUs.

pynetdicom allocates any length that a PDU header states, applies its timeout to each recv() and not to
the PDU, queues requests without limit, and lets exceptions of malformed PDUs end its threads. Here a
peer that violates the protocol gets an A-ABORT, its connection is closed, and `end_reason` says why.
"""

import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import ProtocolViolation
from dicom_node.process.logs import printable
from dicom_node.receive.association_request import check_contexts, check_items

HEADER = struct.Struct(">BxL")
"""PDU type and length of the rest of the PDU (PS3.8 9.3.1)."""

ASSOCIATE_RQ, ABORT, PDU_TYPES = 0x01, 0x07, range(0x01, 0x08)
MAX_REQUEST_BYTES = 256 * 1024
"""Of an A-ASSOCIATE-RQ; the largest one seen in practice has 17.5 kB."""

SLACK_BYTES = 6
"""Some peers apply our maximum PDU length to the value without the 6 bytes of the item header."""

MAX_REQUESTS_WAITING = 8
"""With so many unanswered requests queued, no further PDU is read. Without asynchronous operations
(PS3.7 D.3.3.3) a peer sends one request at a time."""

QUICKACK = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class UpperLayerLimits:
    """Limits of one connection."""

    max_pdu_bytes: int
    pdu_timeout_s: float
    """From the first to the last byte of a PDU."""
    request_timeout_s: float
    """From connecting to the A-ASSOCIATE-RQ, and for a TLS handshake."""
    max_object_bytes: int
    """Of one data set."""


class BoundedSocket(AssociationSocket):
    """Reads and sends with one deadline for all bytes, and always closes the socket."""

    def __init__(self, association: Any, connection: socket.socket, *, timeout_s: float) -> None:
        super().__init__(association, client_socket=connection)
        self._timeout_s = timeout_s

    def read(self, count: int, deadline_s: float) -> bytearray:
        """Return exactly `count` bytes.

        Raises:
            TimeoutError: they have not all arrived at `deadline_s` (`time.monotonic()`).
            OSError: the connection was closed.
        """
        data = bytearray(count)
        view = memoryview(data)
        while view:
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError
            self.socket.settimeout(remaining_s)
            self._acknowledge_quickly()
            received = self.socket.recv_into(view)
            if not received:
                raise ConnectionResetError
            view = view[received:]
        return data

    def _acknowledge_quickly(self) -> None:
        """Set TCP_QUICKACK, which Linux resets, so that data is acknowledged without delay.

        A sender with Nagle's algorithm (such as DCMTK) holds a data set back until its command is
        acknowledged, up to 40 ms later. Without that delay it sends four times as many small objects.
        """
        if QUICKACK is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def send(self, bytestream: bytes) -> None:
        """Send all bytes, or report a closed connection to the state machine (Evt17, PS3.8 9.2.3)."""
        if self.socket is None:
            return
        try:
            self.socket.settimeout(self._timeout_s)
            self.socket.sendall(bytestream)
        except OSError as error:
            slow = isinstance(error, TimeoutError)
            self.assoc.dul.end("the peer does not take our answers" if slow else CONNECTION_LOST, "Evt17")

    def _shutdown_socket(self) -> None:
        if self.socket is None:
            return
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the peer has closed the connection")
        self.socket.close()


CONNECTION_LOST = "connection closed by the peer"


class BoundedUpperLayer(DULServiceProvider):
    """The upper layer service provider (PS3.8) of one association in which this node is the acceptor."""

    def __init__(self, association: Any, limits: UpperLayerLimits) -> None:
        super().__init__(association)
        self.daemon = True
        self.end_reason: str | None = None
        """Why the association ends, in words; None while it goes on."""
        self.has_violation = False
        """True when it ends because the peer violated the protocol or a limit."""
        self._limits = limits
        self._is_first = True
        """No PDU was read yet."""

    def end(self, reason: str, event: str = "Evt19") -> None:
        """End the association: abort it for a violation (Evt19), or find it closed (Evt17; PS3.8 9.2.3)."""
        if self.end_reason is None:
            self.end_reason, self.has_violation = reason, event == "Evt19"
        self.event_queue.put(event)

    def run_reactor(self) -> None:
        """Serve the connection to its end; then close it and wake the thread that waits for primitives."""
        try:
            super().run_reactor()
        except Exception:
            log.exception("the network thread of an association failed")
        finally:
            self.socket.close()
            self.to_user_queue.put(None)

    def _process_recv_primitive(self) -> bool:
        """Send a queued primitive, unless the association has ended since it was queued."""
        is_over = self.end_reason is not None or self.state_machine.current_state == "Sta13"
        return not is_over and bool(super()._process_recv_primitive())

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == "Sta13":
            # The standard waits until the peer closes the connection (Sta13), which it may never do.
            self.socket.close()
            return True
        if self.end_reason is not None or self.assoc.dimse.msg_queue.qsize() >= MAX_REQUESTS_WAITING:
            return False
        return bool(super()._is_transport_event())

    def _read_pdu_data(self) -> None:
        try:
            received = self._complete_pdu()
            pdu, event = self._checked(received)
        except ProtocolViolation as violation:
            self.end(str(violation))
        except TimeoutError:
            self.end(f"a PDU was not complete within {self._limits.pdu_timeout_s:g} s")
        except OSError:
            self.end(CONNECTION_LOST, "Evt17")
        else:
            self._is_first = False
            if received[0] == ABORT:
                self.end_reason = "aborted by the peer"
            self._recv_pdu.put(pdu)
            self.event_queue.put(event)

    def _complete_pdu(self) -> bytearray:
        deadline_s = time.monotonic() + self._limits.pdu_timeout_s
        header: bytearray = self.socket.read(HEADER.size, deadline_s)
        pdu_type, length = HEADER.unpack(header)
        if self._is_first and pdu_type != ASSOCIATE_RQ:
            raise ProtocolViolation(f"starts with a PDU of type 0x{pdu_type:02X}, not with a request")
        if pdu_type not in PDU_TYPES:
            raise ProtocolViolation(f"unknown PDU type 0x{pdu_type:02X}")
        most = MAX_REQUEST_BYTES if self._is_first else self._limits.max_pdu_bytes + SLACK_BYTES
        if length > most:
            raise ProtocolViolation(f"a PDU of type 0x{pdu_type:02X} claims more than {most} bytes")
        header += self.socket.read(length, deadline_s)
        return header

    def _checked(self, received: bytearray) -> tuple[Any, str]:
        if self._is_first:
            check_items(received)
        try:
            pdu, event = self._decode_pdu(received)
            primitive = pdu.to_primitive()
        except Exception as error:  # noqa: BLE001 - pynetdicom raises any type on malformed bytes
            raise ProtocolViolation(f"undecodable PDU of type 0x{received[0]:02X}: {_kind(error)}") from None
        if self._is_first:
            check_contexts(primitive)
        return pdu, event


def _kind(error: Exception) -> str:
    return printable(type(error).__name__)
