"""A peer that speaks the upper layer protocol by hand, byte by byte, and one that only wants an answer."""

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from pydicom.uid import ImplicitVRLittleEndian, UltrasoundImageStorage
from pynetdicom import AE
from pynetdicom.sop_class import Verification

OTHER_HOST = "127.0.0.2"
"""Where well-behaved senders call from; attacks come from elsewhere."""

ANSWER_WITHIN_S = 1.9  # who waits for an attacker waits for 2 s
RELEASE_RQ = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ABORT_RQ = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"
COMMAND, LAST = 0x01, 0x02
"""Bits of the message control header (PS3.8 E.2)."""

Context = tuple[int, str, Sequence[str]]
CONTEXTS: tuple[Context, ...] = (
    (1, Verification, [ImplicitVRLittleEndian]),
    (3, UltrasoundImageStorage, [ImplicitVRLittleEndian]),
)


def pdu(kind: int, value: bytes, *, length: int | None = None) -> bytes:
    """Return a PDU; `length` may lie."""
    return struct.pack(">BxL", kind, len(value) if length is None else length) + value


def item(kind: int, value: bytes, *, length: int | None = None) -> bytes:
    """Return an item of an A-ASSOCIATE-RQ; `length` may lie."""
    return struct.pack(">BxH", kind, len(value) if length is None else length) + value


def context_item(context: Context) -> bytes:
    """Return a proposed presentation context."""
    number, abstract, syntaxes = context
    inner = item(0x30, abstract.encode()) + b"".join(item(0x40, uid.encode()) for uid in syntaxes)
    return item(0x20, bytes([number, 0, 0, 0]) + inner)


def user_information(maximum: int = 16_382, extra: bytes = b"") -> bytes:
    """Return the user information item."""
    inner = item(0x51, struct.pack(">L", maximum)) + item(0x52, b"1.2.3") + extra
    return item(0x50, inner)


def request(
    *,
    called: bytes = b"ECHONODE",
    calling: bytes = b"ATTACKER",
    contexts: Sequence[Context] = CONTEXTS,
    items: bytes | None = None,
    version: int = 1,
) -> bytes:
    """Return an A-ASSOCIATE-RQ; `items` replaces all of them."""
    if items is None:
        items = item(0x10, b"1.2.840.10008.3.1.1.1") + b"".join(map(context_item, contexts))
        items += user_information()
    fixed = struct.pack(">HH16s16s32x", version, 0, called.ljust(16)[:16], calling.ljust(16)[:16])
    return pdu(0x01, fixed + items)


def p_data(control: int, data: bytes, *, context: int = 1) -> bytes:
    """Return a P-DATA-TF of one fragment."""
    return pdu(0x04, struct.pack(">LBB", len(data) + 2, context, control) + data)


def command(field: int, *, with_data_set: bool = False, **elements: int | str) -> bytes:
    """Return a command set (PS3.7 E.1) of any values, right or wrong."""
    values: dict[str, int | str] = {"CommandField": field, "MessageID": 1, **elements}
    values["CommandDataSetType"] = 0x0001 if with_data_set else 0x0101
    tags = {tag_for_keyword(keyword) or 0: value for keyword, value in values.items()}
    encoded = b"".join(_element(tag, value) for tag, value in sorted(tags.items()))
    return _element(0x0000_0000, struct.pack("<L", len(encoded))) + encoded


def _element(tag: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        value = struct.pack("<H", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0" * (len(value) % 2)
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def echo_rq() -> bytes:
    """Return a C-ECHO-RQ as one P-DATA-TF."""
    return p_data(COMMAND | LAST, command(0x0030, AffectedSOPClassUID=Verification))


def store_rq(uid: str = "1.2.3.4") -> bytes:
    """Return the command of a C-STORE-RQ as one P-DATA-TF; a data set has to follow."""
    about = {"AffectedSOPClassUID": str(UltrasoundImageStorage), "AffectedSOPInstanceUID": uid}
    return p_data(COMMAND | LAST, command(0x0001, with_data_set=True, Priority=0, **about), context=3)


@contextmanager
def connected(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Connect from an address of this machine."""
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(host, 0)) as opened:
        yield opened


@contextmanager
def associated(
    port: int, host: str = "127.0.0.1", *, receive_buffer: int | None = None, **about: object
) -> Iterator[socket.socket]:
    """Connect and be accepted."""
    with connected(port, host) as opened:
        if receive_buffer is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        opened.sendall(request(**about))  # type: ignore[arg-type]  # as `request` takes them
        kind, _ = read_pdu(opened)
        assert kind == 0x02
        yield opened


def read_pdu(opened: socket.socket) -> tuple[int, bytes]:
    """Return type and value of the next PDU."""
    header = read(opened, 6)
    kind, length = struct.unpack(">BxL", header)
    return kind, read(opened, length)


def read(opened: socket.socket, count: int) -> bytes:
    """Return exactly `count` bytes."""
    data = b""
    while len(data) < count:
        part = opened.recv(count - len(data))
        assert part, "the connection ended"
        data += part
    return data


def converse(opened: socket.socket, conversation: Sequence[bytes]) -> None:
    """Say the first thing; if there is more, wait for the answer to it, which should be an acceptance."""
    first, *rest = conversation
    opened.sendall(first)
    if rest:
        assert read_pdu(opened)[0] == 0x02
        opened.sendall(b"".join(rest))


def send_until_closed(opened: socket.socket, data: bytes, *, times: int) -> int:
    """Send up to `times`; return how many bytes went out before the peer closed."""
    sent = 0
    try:
        for _ in range(times):
            opened.sendall(data)
            sent += len(data)
    except OSError:
        pass
    return sent


def is_closed(opened: socket.socket) -> bool:
    """Read what is left; tell whether the peer has closed."""
    opened.settimeout(0.01)
    try:
        while opened.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def echo_duration_s(port: int) -> float:
    """Return how long another sender's C-ECHO took, association and all."""
    ae = AE("SCANNER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    ae.add_requested_context(Verification)
    started = time.monotonic()
    opened = ae.associate("127.0.0.1", port, ae_title="ECHONODE", bind_address=(OTHER_HOST, 0))
    connection = opened.dul.socket and opened.dul.socket.socket
    try:
        assert opened.is_established
        assert opened.send_c_echo().Status == 0x0000
        took_s = time.monotonic() - started
        opened.release()
    finally:
        if connection:
            connection.close()
    return took_s


@contextmanager
def others_answered(port: int) -> Iterator[list[float]]:
    """During the block, another sender calls again and again; each C-ECHO is answered at once."""
    took_s: list[float] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            try:
                took_s.append(echo_duration_s(port))
            except BaseException as error:  # noqa: BLE001 - reported below
                failures.append(error)
                return
            over.wait(0.05)

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield took_s
    finally:
        over.set()
        caller.join()
    took_s += [] if failures else [echo_duration_s(port)]
    assert not failures, failures
    print(f"{len(took_s)} C-ECHO of others, the slowest in {max(took_s) * 1000:.0f} ms")
    assert max(took_s) <= ANSWER_WITHIN_S


def parts(data_dir: Path) -> list[str]:
    """Return the names of files that are still being received."""
    return [path.name for path in (data_dir / "incoming").iterdir()]
