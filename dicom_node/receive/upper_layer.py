"""The upper layer of an association, with bounds: complete and plausible PDUs in time, or the end.

pynetdicom buffers whatever length a header claims, times each recv() and not the PDU, queues requests
without limit, and lets what a peer sent raise in its threads. Here a peer that breaks the protocol
gets an A-ABORT, its connection is closed, and `ending` says why.
"""

import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import ProtocolViolation
from dicom_node.process.logs import printable

HEADER = struct.Struct(">BxL")
"""PDU type and the length of what follows (PS3.8 9.3.1)."""

ASSOCIATE_RQ, ABORT, PDU_TYPES = 0x01, 0x07, range(0x01, 0x08)
MAX_REQUEST_BYTES = 256 * 1024
"""Of an A-ASSOCIATE-RQ; 17.5 kB is the largest that was seen in practice."""

MAX_REQUEST_ITEMS = 4096
"""Items and sub-items in an A-ASSOCIATE-RQ; 128 contexts with 30 syntaxes each still fit."""

SLACK_BYTES = 6
"""Some peers take our maximum for that of the value alone, without its item header."""

MIN_PEER_MAXIMUM = 32
"""A peer that takes less than this in one PDU cannot be answered in earnest."""

MAX_REQUESTS_WAITING = 8
"""Nobody may send a second request before the first is answered; more than this is not even read."""

QUICKACK = getattr(socket, "TCP_QUICKACK", None)
"""Linux has it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class UpperLayerLimits:
    """What a connection may cost."""

    max_pdu_bytes: int
    pdu_timeout_s: float
    request_timeout_s: float
    """From connecting to the A-ASSOCIATE-RQ, and for a TLS handshake."""
    max_object_bytes: int


class BoundedSocket(AssociationSocket):
    """Reads and writes with a deadline for the whole, and closes however the connection ended."""

    def __init__(self, association: Any, connection: socket.socket, *, timeout_s: float) -> None:
        super().__init__(association, client_socket=connection)
        self._timeout_s = timeout_s

    def read(self, count: int, deadline_s: float) -> bytearray:
        """Return exactly `count` bytes.

        Raises:
            TimeoutError: they were not there at `deadline_s` (monotonic).
            OSError: the connection ended.
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
        """Ask again at each read, as Linux forgets: senders that use Nagle's algorithm wait for it.

        Such a sender (DCMTK is one) holds a data set back until its command is acknowledged, which a
        receiver may delay by 40 ms: four times as many small objects in a second.
        """
        if QUICKACK is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)

    def send(self, bytestream: bytes) -> None:
        """Send all, or let the state machine know that the connection is gone (Evt17)."""
        if self.socket is None:
            return
        try:
            self.socket.settimeout(self._timeout_s)
            self.socket.sendall(bytestream)
        except OSError as error:
            slow = isinstance(error, TimeoutError)
            self.assoc.dul.give_up("the peer does not take our answers" if slow else CONNECTION_LOST, "Evt17")

    def _shutdown_socket(self) -> None:
        if self.socket is None:
            return
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the peer was first to close")
        self.socket.close()


CONNECTION_LOST = "connection closed by the peer"


class BoundedUpperLayer(DULServiceProvider):
    """The DICOM upper layer service provider (PS3.8) of one association of ours as acceptor."""

    def __init__(self, association: Any, limits: UpperLayerLimits) -> None:
        super().__init__(association)
        self.daemon = True
        self.ending: str | None = None
        """Why the association cannot go on, in words."""
        self.is_broken = False
        """Whether the peer broke the protocol or a limit, rather than just left."""
        self._limits = limits
        self._is_first = True

    def give_up(self, reason: str, event: str = "Evt19") -> None:
        """End the association: Evt19 aborts it for a violation, Evt17 finds it closed (PS3.8 9.2)."""
        if self.ending is None:
            self.ending, self.is_broken = reason, event == "Evt19"
        self.event_queue.put(event)

    def run_reactor(self) -> None:
        """Serve the connection to its end; afterwards nobody waits for it, whatever happened."""
        try:
            super().run_reactor()
        except Exception:
            log.exception("the network thread of an association failed")
        finally:
            self.socket.close()
            self.to_user_queue.put(None)

    def _process_recv_primitive(self) -> bool:
        """Send what our side wants to, unless the association is over: an answer may come too late."""
        is_over = self.ending is not None or self.state_machine.current_state == "Sta13"
        return not is_over and bool(super()._process_recv_primitive())

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == "Sta13":
            # The standard would read on until the peer closes (AA-6): a hostile one never does.
            self.socket.close()
            return True
        if self.ending is not None or self.assoc.dimse.msg_queue.qsize() >= MAX_REQUESTS_WAITING:
            return False
        return bool(super()._is_transport_event())

    def _read_pdu_data(self) -> None:
        try:
            received = self._complete_pdu()
            pdu, event = self._checked(received)
        except ProtocolViolation as violation:
            self.give_up(str(violation))
        except TimeoutError:
            self.give_up(f"a PDU was not complete within {self._limits.pdu_timeout_s:g} s")
        except OSError:
            self.give_up(CONNECTION_LOST, "Evt17")
        else:
            self._is_first = False
            if received[0] == ABORT:
                self.ending = "aborted by the peer"
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
            check_request(received)
        try:
            pdu, event = self._decode_pdu(received)
            primitive = pdu.to_primitive()
        except Exception as error:  # noqa: BLE001 - hostile bytes raise whatever they like in the library
            raise ProtocolViolation(f"undecodable PDU of type 0x{received[0]:02X}: {_kind(error)}") from None
        if self._is_first:
            check_proposal(primitive)
        return pdu, event


def check_request(pdu: bytearray) -> None:
    """Walk the items of an A-ASSOCIATE-RQ (PS3.8 9.3.2) before anything is built from them.

    Raises:
        ProtocolViolation: a length lies, or there are more items than any sender needs.
    """
    count = 0
    for kind, start, end in _items(pdu, 74, len(pdu)):
        count += 1
        # Presentation contexts and user information hold items of their own.
        inner = {0x20: start + 4, 0x50: start}.get(kind)
        if inner is not None:
            count += sum(1 for _ in _items(pdu, inner, end))
        if count > MAX_REQUEST_ITEMS:
            raise ProtocolViolation(f"more than {MAX_REQUEST_ITEMS} items in a request")


def check_proposal(request: A_ASSOCIATE) -> None:
    """Look at what pynetdicom takes for granted in a request that it could decode.

    Raises:
        ProtocolViolation: no answer of ours would fit the peer's maximum (PS3.8 D.1; 0 is any), or a
            presentation context is not complete (PS3.8 9.3.2.2).
    """
    maximum = request.maximum_length_received
    if maximum is None or 0 < maximum < MIN_PEER_MAXIMUM:
        raise ProtocolViolation(f"the peer's maximum PDU length is {maximum}")
    contexts = request.presentation_context_definition_list
    if not contexts or not all(each.abstract_syntax and each.transfer_syntax for each in contexts):
        raise ProtocolViolation("a presentation context is not complete")


def _items(pdu: bytearray, start: int, end: int) -> Any:
    """Yield type, start and end of the value of each item (PS3.8 9.3.2)."""
    while start < end:
        value = start + 4
        stop = value + int.from_bytes(pdu[start + 2 : start + 4], "big")
        if stop > end:
            raise ProtocolViolation("an item is longer than what holds it")
        yield pdu[start], value, stop
        start = stop


def _kind(error: Exception) -> str:
    return printable(type(error).__name__)
