"""A PACS that answers byte by byte: any A-ASSOCIATE-AC or -RJ, then success to every C-STORE, or an end."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pydicom.uid import ImplicitVRLittleEndian

from dicom_node.settings.sections import Destination
from support.attacks import COMMAND, LAST, command, item, p_data, pdu, read_pdu

ASSOCIATE_RQ, P_DATA, RELEASE_RQ, RELEASE_RP = 0x01, 0x04, 0x05, 0x06
MAXIMUM_LENGTH = item(0x51, struct.pack(">L", 16_384))
IMPLEMENTATION_CLASS = item(0x52, b"1.2.3")
Contexts = list[tuple[int, str, str]]
"""The proposed contexts: ID, SOP class and transfer syntax."""


@dataclass
class RawAcceptor:
    """What the PACS answers and what it got."""

    answer: Callable[[Contexts], bytes]
    """Makes the answer to the proposed contexts."""
    aborts_at: int | None = None
    """Closes the connection at the C-STORE with this number, from 1, of every association."""
    port: int = 0
    received: list[bytes] = field(default_factory=list)
    """The data set of every C-STORE that was answered with success."""
    associations: int = 0

    @property
    def destination(self) -> Destination:
        """The settings' entry that leads here."""
        return Destination(name="raw", ae_title="PACS", host="127.0.0.1", port=self.port, timeout_s=2)

    def serve(self, opened: socket.socket) -> None:
        """Serve one association."""
        kind, value = read_pdu(opened)
        assert kind == ASSOCIATE_RQ
        self.associations += 1
        opened.sendall(self.answer(proposed(value)))
        stored = 0
        while (message := read_message(opened)) is not None:
            context_id, data_set = message
            stored += 1
            if stored == self.aborts_at:
                return
            self.received.append(data_set)
            response = command(0x8001, MessageIDBeingRespondedTo=1, Status=0)
            opened.sendall(p_data(COMMAND | LAST, response, context=context_id))
        opened.sendall(pdu(RELEASE_RP, bytes(4)))
        opened.settimeout(1)
        opened.recv(1)


def read_message(opened: socket.socket) -> tuple[int, bytes] | None:
    """Return context ID and data set of the next C-STORE request; None for a release."""
    data_set = b""
    while True:
        kind, value = read_pdu(opened)
        if kind == RELEASE_RQ:
            return None
        assert kind == P_DATA
        while value:
            length, context_id, control = struct.unpack(">LBB", value[:6])
            fragment, value = value[6 : 4 + length], value[4 + length :]
            if not control & COMMAND:
                data_set += fragment
                if control & LAST:
                    return context_id, data_set


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item."""
    while data:
        kind, length = struct.unpack(">BxH", data[:4])
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def proposed(request: bytes) -> Contexts:
    """Return the contexts of a request of ours, each of which has one transfer syntax."""
    found = []
    for kind, value in items(request[68:]):
        if kind == 0x20:
            sub_items = dict(items(value[4:]))
            found.append((value[0], sub_items[0x30].decode(), sub_items[0x40].decode()))
    return found


def context(context_id: int, result: int, *sub_items: bytes) -> bytes:
    """Return a presentation context item of an answer."""
    return item(0x21, bytes([context_id, 0, result, 0]) + b"".join(sub_items))


def accepting(contexts: Contexts, *, only: str | None = None) -> bytes:
    """Return context items that accept the proposed ones, or those with one transfer syntax."""
    return b"".join(
        context(number, 0, item(0x40, syntax.encode())) if only in (None, syntax) else context(number, 4)
        for number, _, syntax in contexts
    )


def acceptance(context_items: bytes, *user: bytes, titles: bytes = b" " * 32) -> bytes:
    """Return an A-ASSOCIATE-AC."""
    fixed = struct.pack(">HH", 1, 0) + titles + bytes(32)
    information = item(0x50, b"".join(user)) if user else b""
    return pdu(0x02, fixed + item(0x10, b"1.2.840.10008.3.1.1.1") + context_items + information)


def implicit_only(contexts: Contexts) -> bytes:
    """Accept the default transfer syntax alone."""
    return acceptance(accepting(contexts, only=ImplicitVRLittleEndian), MAXIMUM_LENGTH, IMPLEMENTATION_CLASS)


@contextmanager
def raw_acceptor(
    answer: Callable[[Contexts], bytes], *, aborts_at: int | None = None
) -> Iterator[RawAcceptor]:
    """Listen on a free port for the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        acceptor = RawAcceptor(answer, aborts_at=aborts_at, port=listening.getsockname()[1])
        thread = threading.Thread(target=_serve_all, args=(listening, acceptor), daemon=True)
        thread.start()
        yield acceptor
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve_all(listening: socket.socket, acceptor: RawAcceptor) -> None:
    while True:
        try:
            opened, _ = listening.accept()
        except OSError:
            return
        with opened, suppress(OSError, AssertionError):
            acceptor.serve(opened)
