"""The upper layer (PS3.8) of an association with limits on length and time, for either side.

pynetdicom allocates any length that a PDU header states, applies its timeout to each recv() and not to
the PDU, and lets exceptions of malformed PDUs end its threads. Here a peer that violates the protocol
gets an A-ABORT, its connection is closed, and `end_reason` says why.
"""

import socket
import struct
import time
from collections.abc import Collection
from typing import Any

import structlog
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import AbortReason, ProtocolViolation
from dicom_node.process.logs import printable

HEADER = struct.Struct(">BxL")
"""PDU type and length of the rest of the PDU (PS3.8 9.3.1)."""
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, ABORT, PDU_TYPES = 0x01, 0x02, 0x03, 0x07, range(0x01, 0x08)
MAX_REQUEST_BYTES = 256 * 1024
"""Of an A-ASSOCIATE-RQ or -AC; the largest one seen in practice has 17.5 kB."""
SLACK_BYTES = 6
"""Some peers apply our maximum PDU length to the value without the 6 bytes of the item header."""
SERVICE_PROVIDER = 0x02
"""Source of an A-ABORT (PS3.8 9.3.8)."""
CONNECTION_LOST = "connection closed by the peer"
QUICKACK = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""

log = structlog.get_logger(__name__)


class BoundedSocket(AssociationSocket):
    """Reads and sends with one deadline for all bytes, and always closes the socket."""

    socket: socket.socket | None
    timeout_s: float

    def read(self, count: int, deadline_s: float) -> bytearray:
        """Return exactly `count` bytes.

        Raises:
            TimeoutError: they have not all arrived at `deadline_s` (`time.monotonic()`).
            OSError: the connection was closed.
        """
        if self.socket is None:
            raise ConnectionResetError
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
        if QUICKACK is not None and self.socket is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def send(self, bytestream: bytes) -> None:
        """Send all bytes, or report a closed connection to the state machine (Evt17, PS3.8 9.2.3)."""
        if self.socket is None:
            return
        try:
            self.socket.settimeout(self.timeout_s)
            self.socket.sendall(bytestream)
        except OSError as error:
            slow = isinstance(error, TimeoutError)
            self.assoc.dul.end("the peer does not take our messages" if slow else CONNECTION_LOST, "Evt17")

    def _shutdown_socket(self) -> None:
        if self.socket is None:
            return
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the peer has closed the connection")
        self.socket.close()


class BoundedUpperLayer(DULServiceProvider):
    """The upper layer service provider (PS3.8) of one association."""

    FIRST_PDUS: Collection[int]
    """The types of the first PDU that the peer may send."""

    def __init__(self, association: Any, *, max_pdu_bytes: int, pdu_timeout_s: float) -> None:
        super().__init__(association)
        self.daemon = True
        self.end_reason: str | None = None
        """Why the association ends, in words; None while it goes on."""
        self.has_violation = False
        """True when it ends because the peer violated the protocol or a limit."""
        self._abort_reason = AbortReason.UNEXPECTED_PDU
        self._max_pdu_bytes, self._pdu_timeout_s = max_pdu_bytes, pdu_timeout_s
        self.is_first = True
        """No PDU was read yet."""

    def end(
        self, reason: str, event: str = "Evt19", abort_reason: AbortReason = AbortReason.NOT_SPECIFIED
    ) -> None:
        """End the association: abort it for a violation (Evt19), or find it closed (Evt17; PS3.8 9.2.3)."""
        if self.end_reason is None:
            self.end_reason, self.has_violation = reason, event == "Evt19"
            self._abort_reason = abort_reason
        self.event_queue.put(event)

    def may_read(self) -> bool:
        """Tell whether the next PDU may be read."""
        return self.end_reason is None

    def decoded(self, received: bytes) -> tuple[Any, str]:
        """Decode a PDU; return it with its event of the state machine (PS3.8 9.2).

        Raises:
            Exception: of any type, as of pynetdicom on malformed bytes.
        """
        pdu, event = self._decode_pdu(bytearray(received))
        pdu.to_primitive()
        return pdu, event

    def _process_recv_primitive(self) -> bool:
        """Send a queued primitive, unless the association has ended since it was queued."""
        is_over = self.end_reason is not None or self.state_machine.current_state == "Sta13"
        return not is_over and bool(super()._process_recv_primitive())

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == "Sta13":
            # The standard waits until the peer closes the connection (Sta13), which it may never do.
            self.socket.close()
            return True
        return self.may_read() and bool(super()._is_transport_event())

    def _send(self, pdu: Any) -> None:
        """Send a PDU; an A-ABORT for a violation names the reason (PS3.8 table 9-26)."""
        if isinstance(pdu, A_ABORT_RQ) and (self.has_violation or pdu.source == SERVICE_PROVIDER):
            if self.end_reason is None:
                self.end_reason, self.has_violation = "an unexpected PDU", True
            pdu.source, pdu.reason_diagnostic = SERVICE_PROVIDER, self._abort_reason
        super()._send(pdu)

    def _read_pdu_data(self) -> None:
        try:
            received = self._complete_pdu()
            pdu, event = self._checked(received)
        except ProtocolViolation as violation:
            self.end(str(violation), abort_reason=violation.abort_reason)
        except TimeoutError:
            self.end(f"a PDU was not complete within {self._pdu_timeout_s:g} s")
        except OSError:
            self.end(CONNECTION_LOST, "Evt17")
        else:
            self.is_first = False
            if received[0] == ABORT:
                self.end_reason = "aborted by the peer"
            self._recv_pdu.put(pdu)
            self.event_queue.put(event)

    def _complete_pdu(self) -> bytearray:
        deadline_s = time.monotonic() + self._pdu_timeout_s
        header: bytearray = self.socket.read(HEADER.size, deadline_s)
        pdu_type, length = HEADER.unpack(header)
        if pdu_type not in PDU_TYPES:
            raise ProtocolViolation(f"unknown PDU type 0x{pdu_type:02X}", AbortReason.UNRECOGNIZED_PDU)
        if self.is_first and pdu_type not in self.FIRST_PDUS:
            raise ProtocolViolation(f"starts with a PDU of type 0x{pdu_type:02X}", AbortReason.UNEXPECTED_PDU)
        most = MAX_REQUEST_BYTES if self.is_first else self._max_pdu_bytes + SLACK_BYTES
        if length > most:
            raise ProtocolViolation(f"a PDU of type 0x{pdu_type:02X} claims more than {most} bytes")
        value: bytearray = self.socket.read(length, deadline_s)
        return header + value

    def _checked(self, received: bytearray) -> tuple[Any, str]:
        try:
            return self.decoded(bytes(received))
        except ProtocolViolation:
            raise
        except Exception as error:  # noqa: BLE001 - pynetdicom raises any type on malformed bytes
            kind = printable(type(error).__name__)
            raise ProtocolViolation(f"undecodable PDU of type 0x{received[0]:02X}: {kind}") from None
