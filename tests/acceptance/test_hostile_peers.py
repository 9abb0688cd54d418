"""Attacks on the DICOM port that pynetdicom alone falls for: each has a bound, and others do not notice."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import UltrasoundMultiFrameImageStorage
from pynetdicom.sop_class import Verification
from support import attacks, builders
from support.attacks import (
    ABORT_RQ,
    COMMAND,
    LAST,
    RELEASE_RQ,
    command,
    context_item,
    echo_duration_s,
    echo_rq,
    is_closed,
    item,
    others_answered,
    p_data,
    parts,
    pdu,
    read_pdu,
    request,
    send_until_closed,
    store_rq,
    user_information,
)
from support.footprint import TIMED_JOB_THREADS
from support.node import NodeHarness, receiver_process, settings_for, wait_for
from support.peers import needs_dcmtk

from dicom_node.settings import Settings
from store.audit.audit_log import AuditEvent

MEGABYTE = 1_000_000
MOST_MORE_KB = 20_000
"""What an attack may leave in memory: arenas of as many threads as there may be associations."""


class Target:
    """A receiver process, attacked from an address that no other test uses."""

    def __init__(self, node: NodeHarness, number: int) -> None:
        self.node = node
        self.port = node.port
        self.host = f"127.0.1.{number}"
        self.connected = partial(attacks.connected, node.port, self.host)
        self.associated = partial(attacks.associated, node.port, self.host)

    def events(self, event: str, count: int = 1) -> list[AuditEvent]:
        """Wait for audit rows about the attacker, and return all that there are."""
        wait_for(lambda: len(self._events(event)) >= count, f"{count} x {event}")
        return self._events(event)

    def _events(self, event: str) -> list[AuditEvent]:
        return [row for row in self.node.events(event) if row.peer_ip == self.host]


def small(folder: Path, **more: object) -> Settings:
    """Return settings with short deadlines and small limits."""
    limits = {"max_associations": 4, "max_associations_per_peer": 2, "max_connections_per_host": 8}
    limits |= {"acse_timeout_s": 2, "pdu_timeout_s": 1, "max_object_mb": 5}
    return settings_for(folder, **limits | more)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeHarness, Path]]:
    """Yield a receiver process with its log; it has to survive all tests of this module."""
    folder = tmp_path_factory.mktemp("hostile")
    log = folder / "log"
    with receiver_process(small(folder / "node"), log=log) as running:
        echo_duration_s(running.port)
        yield running, log


@pytest.fixture
def target(shared: tuple[NodeHarness, Path], numbers: Iterator[int]) -> Iterator[Target]:
    """Yield what to attack; afterwards nothing is left of the attack, neither memory nor thread nor file."""
    node, log = shared
    threads, before_kb, logged = node.footprint().threads, node.footprint().rss_kb, log.stat().st_size
    with others_answered(node.port):
        yield Target(node, next(numbers))
    assert node.receiver.poll() is None
    assert node.footprint().rss_kb - before_kb < MOST_MORE_KB
    wait_for(
        lambda: node.footprint().threads <= threads + TIMED_JOB_THREADS, f"the {threads} threads of before"
    )
    assert node.stored_files() == []
    assert "Traceback" not in log.read_text()[logged:]


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Return numbers for addresses."""
    return iter(range(1, 250))


@pytest.mark.parametrize(
    "start",
    [
        b"\x01\x00\xff\xff\xff\xff",
        b"\x01\x00\x00\x04\x00\x01",
        b"\x04\x00\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        request() + b"\x04\x00\xff\xff\xff\xff",
        request() + b"\x04\x00\x00\x02\x00\x07",
        request() + b"\x99\x00\x00\x00\x00\x04",
    ],
    ids=["request", "request of 256 kB", "first a P-DATA", "http", "P-DATA", "P-DATA too long", "unknown"],
)
def test_claimed_length(start: bytes, target: Target) -> None:
    """A header that claims more than may come ends the connection: 300 MB thrown at it cost no memory."""
    for _ in range(30):
        with target.connected() as opened:
            opened.sendall(start)
            sent = send_until_closed(opened, bytes(MEGABYTE), times=10)
            assert sent < 10 * MEGABYTE


def test_claims_are_audited(target: Target) -> None:
    """What no scanner sends is in the audit log, with what it was."""
    for start, event in [(b"", "association.rejected"), (request(), "association.aborted")]:
        with target.connected() as opened:
            opened.sendall(start + b"\x01\x00\xff\xff\xff\xff")
            wait_for(lambda opened=opened: is_closed(opened), "the connection to be closed")
        (row,) = target.events(event)
        assert "claims more than" in row.detail["reason" if start else "found"]


@pytest.mark.parametrize("what", ["object", "command", "data set of an echo", "data set before its command"])
def test_message_without_end(what: str, target: Target) -> None:
    """Fragments of which none is the last end the association at a limit, and leave no file."""
    with_data_set = command(0x0030, with_data_set=True, AffectedSOPClassUID=Verification)
    beginning, fragment = {
        "object": (store_rq(), p_data(0, bytes(100_000), context=3)),
        "command": (b"", p_data(COMMAND, bytes(10_000))),
        "data set of an echo": (p_data(COMMAND | LAST, with_data_set), p_data(0, bytes(100_000))),
        "data set before its command": (b"", p_data(0, bytes(100_000))),
    }[what]
    with target.associated() as opened:
        opened.sendall(beginning)
        sent = send_until_closed(opened, fragment, times=3000)

    assert sent < 30 * MEGABYTE
    (aborted,) = target.events("association.aborted")
    assert "of more than" in aborted.detail["reason"]
    assert aborted.detail["objects_cut_off"] == (what == "object")


def test_silent_connections(target: Target) -> None:
    """Connections that ask for nothing take no association, are limited by host, and do not last."""
    with ExitStack() as silent:
        opened = [silent.enter_context(target.connected()) for _ in range(8)]
        with target.connected() as ninth:
            wait_for(lambda: is_closed(ninth), "the ninth to be closed")
        assert not any(is_closed(each) for each in opened)
        wait_for(lambda: all(is_closed(each) for each in opened), "all to be closed", limit_s=5)
        with target.associated() as welcome:
            welcome.sendall(RELEASE_RQ)
            assert read_pdu(welcome)[0] == 0x06

    assert {row.detail["reason"] for row in target.events("association.rejected", 2)} == {
        "too many connections from this address",
        "no association request in time",
    }


@pytest.mark.parametrize("start", [b"", request()], ids=["request", "P-DATA"])
def test_one_byte_at_a_time(start: bytes, target: Target) -> None:
    """A PDU has to be complete in time, however steadily its bytes drip."""
    with target.connected() as opened:
        opened.sendall(start)
        if start:
            read_pdu(opened)
        opened.sendall((b"\x04" if start else b"\x01") + b"\x00\x00\x00\x01\x00")
        started = time.monotonic()
        while not is_closed(opened):
            send_until_closed(opened, b"\x00", times=1)
            assert time.monotonic() - started < 5
            time.sleep(0.1)

    assert time.monotonic() - started > 0.9
    (row,) = target.events("association.aborted" if start else "association.rejected")
    assert "not complete within 1 s" in row.detail["reason" if start else "found"]


def test_answers_that_nobody_reads(target: Target) -> None:
    """Who sends requests and reads no answer is read no further, and loses its place in time."""
    with target.associated(receive_buffer=4096) as opened:
        started = time.monotonic()
        send_until_closed(opened, 100 * echo_rq(), times=10_000)

    assert time.monotonic() - started < 20
    (row,) = target.events("association.aborted")
    assert row.detail["reason"] == "the peer does not take our messages"


def test_requests_without_waiting(target: Target) -> None:
    """Requests that nobody could answer that fast wait with the sender; all are answered."""
    count = 500
    with target.associated() as opened:
        sender = threading.Thread(target=opened.sendall, args=(count * echo_rq(),))
        sender.start()
        answers = [read_pdu(opened)[0] for _ in range(count)]
        sender.join()
        opened.sendall(RELEASE_RQ)
        assert read_pdu(opened)[0] == 0x06

    assert answers == [0x04] * count


def test_event_reports_without_end(target: Target) -> None:
    """A thousand N-EVENT-REPORT requests are a thousand requests, not a thousand threads."""
    threads, most = target.node.footprint().threads, 0
    about = {"AffectedSOPClassUID": str(Verification), "AffectedSOPInstanceUID": "1.2.3"}
    report = p_data(COMMAND | LAST, command(0x0100, EventTypeID=1, **about))
    with target.associated() as opened:
        for _ in range(20):
            send_until_closed(opened, 50 * report, times=1)
            most = max(most, target.node.footprint().threads)

    assert most < threads + 10


def clip(folder: Path, frames: int) -> Path:
    """Return a file of `frames` x 0.9 MB."""
    ds = builders.us_image(np.zeros((480, 640, 3), np.uint8), SOPClassUID=UltrasoundMultiFrameImageStorage)
    ds.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    ds.NumberOfFrames = frames
    ds.PixelData = bytes(480 * 640 * 3 * frames)
    return builders.save(ds, folder / "clip.dcm")


@needs_dcmtk
def test_sender_killed_in_the_middle(tmp_path: Path) -> None:
    """Kill -9 of a real sender: its part is removed, its place is free, and the audit log says so."""
    path = clip(tmp_path, 200)
    settings = small(tmp_path / "node", max_object_mb=500, max_associations=1, max_associations_per_peer=1)
    with receiver_process(settings, log=tmp_path / "log") as node:
        for number in range(1, 4):
            sender = subprocess.Popen(
                ["storescu", "-aec", "ECHONODE", "127.0.0.1", str(node.port), str(path)]
            )
            wait_for(lambda: parts(node.data_dir), "the first bytes", limit_s=30)
            sender.kill()
            sender.wait()
            aborted = node.wait_for_event("association.aborted", number)
            assert aborted[-1].detail["objects_cut_off"] == 1
            assert aborted[-1].detail["reason"] == "connection closed by the peer"
            assert node.stored_files() == []
        assert echo_duration_s(node.port) < 1


@pytest.mark.parametrize(
    ("end", "reason"), [(ABORT_RQ, "aborted by the peer"), (b"", "connection closed by the peer")]
)
def test_sender_that_leaves_is_audited_with_the_reason(end: bytes, reason: str, target: Target) -> None:
    """An abort and a lost connection are told apart; neither leaves a file."""
    with target.associated() as opened:
        opened.sendall(store_rq() + p_data(0, bytes(1000), context=3) + end)

    (aborted,) = target.events("association.aborted")
    assert aborted.detail == {"objects_cut_off": 1, "reason": reason}


def test_flood_of_associations(target: Target) -> None:
    """One host gets its share, under any AE titles; the rest is for others; the audit log stays short."""
    with ExitStack() as held:
        for number in range(2):
            held.enter_context(target.associated(calling=f"SCANNER{number}".encode()))
        for number in range(200):
            with target.connected() as opened:
                opened.sendall(request(calling=f"SCANNER{number}".encode()))
                assert read_pdu(opened) == (0x03, b"\x00\x02\x03\x02")
    target.events("association.aborted", 2)
    with target.associated():
        rows = target.events("association.rejected")

    assert {row.detail["reason"] for row in rows} == {"too many associations from this address"}
    assert len(rows) <= 3


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
ECHO = context_item((1, Verification, ["1.2.840.10008.1.2"]))
LONG_UID = ".".join(["1234567890"] * 400)
HOSTILE_MESSAGES: dict[str, bytes | tuple[bytes, ...]] = {
    "no AE titles": request(called=b"", calling=b""),
    "AE title with NUL": request(calling=b"A\0\0\0B"),
    "AE title in Latin-1": request(calling=b"\xc9CHO\xff\xfe"),
    "AE title in Chinese": request(calling="\u8d85\u58f0\u6ce2".encode()),
    "AE title that is a path": request(calling=b"../../../etc"),
    "AE title with a newline": request(calling=b"A\nforged: line"),
    "nothing inside": pdu(0x01, b""),
    "only the fixed part": request(items=b""),
    "version 2": request(version=2),
    "no contexts": request(items=APPLICATION + user_information()),
    "no user information": request(items=APPLICATION + ECHO),
    "no application context": request(items=ECHO + user_information()),
    "unknown item": request(items=APPLICATION + ECHO + item(0x77, b"?") + user_information()),
    "128 contexts with UIDs of 400 bytes": request(
        contexts=[(number, LONG_UID[:400], [LONG_UID[:100]] * 3) for number in range(1, 256, 2)]
    ),
    "contexts with one number": request(contexts=[(1, Verification, ["1.2.840.10008.1.2"])] * 128),
    "contexts with even numbers": request(contexts=[(2, Verification, ["1.2.840.10008.1.2"])]),
    "context without syntax": request(contexts=[(1, Verification, [])]),
    "UID with a path": request(contexts=[(1, "../../../../tmp/x", ["/etc/passwd"])]),
    "UID with NUL": request(contexts=[(1, "1.2\0.3", ["1.2\0.840.10008.1.2"])]),
    "UID with letters": request(contexts=[(1, "1.2.\u00e4", ["\u00e4"])]),
    "item longer than the PDU": request(items=APPLICATION + item(0x20, b"\1\0\0\0", length=60_000)),
    "sub-item longer than its item": request(
        items=APPLICATION + item(0x20, b"\1\0\0\0" + item(0x30, b"1.2", length=9)) + user_information()
    ),
    "PDU longer than said": pdu(0x01, request()[6:], length=80),
    "user identity of 64 kB": request(
        items=APPLICATION
        + ECHO
        + user_information(extra=item(0x58, b"\1\1" + b"\xff\x00" + bytes(65_280) + b"\0\0", length=0xFF00))
    ),
    "user identity that lies": request(
        items=APPLICATION + ECHO + user_information(extra=item(0x58, b"\1\1\xff\xffx\0\0"))
    ),
    "maximum length 1": request(items=APPLICATION + ECHO + user_information(1)),
    "maximum length 7": request(items=APPLICATION + ECHO + user_information(7)),
    "60,000 empty items": request(items=APPLICATION + 60_000 * item(0x20, b"")),
    "60,000 syntaxes": request(items=APPLICATION + 15 * item(0x20, b"\1\0\0\0" + 4000 * item(0x40, b""))),
    "4,000 syntaxes": request(contexts=[(1, Verification, [""] * 4000)]),
    "request twice": request() + request(),
    "acceptance first": pdu(0x02, request()[6:]),
    "acceptance after": (request(), pdu(0x02, request()[6:])),
    "rejection after": (request(), pdu(0x03, b"\0\1\1\1")),
    "answer to a release": (request(), pdu(0x06, bytes(4))),
    "release of nothing": (request(), pdu(0x05, b"")),
    "P-DATA of nothing": (request(), pdu(0x04, b"")),
    "fragment of nothing": (request(), pdu(0x04, b"\0\0\0\0")),
    "fragment that lies": (request(), pdu(0x04, b"\xff\xff\xff\xff\x01\x03")),
    "command that is none": (request(), p_data(COMMAND | LAST, b"\xff" * 200)),
    "command without field": (request(), p_data(COMMAND | LAST, b"")),
    "unknown command": (request(), p_data(COMMAND | LAST, command(0x7777))),
    "response nobody asked for": (request(), p_data(COMMAND | LAST, command(0x8001, Status=0))),
    "cancel of nothing": (request(), p_data(COMMAND | LAST, command(0x0FFF, MessageIDBeingRespondedTo=7))),
    "context that was not accepted": (request(), p_data(COMMAND | LAST, command(0x0030), context=99)),
    "UID of 10 kB": (request(), store_rq(LONG_UID[:10_000]) + p_data(LAST, b"data", context=3)),
    "UID that is a path": (request(), store_rq("../../../../tmp/x") + p_data(LAST, b"data", context=3)),
}


FOUND_BY_FUZZING: dict[str, bytes | tuple[bytes, ...]] = {
    "class UID of two values": (
        request(),
        p_data(COMMAND | LAST, command(0x0030, AffectedSOPClassUID="1.2\\1.3")),
    ),
    "store of two classes": (
        request(),
        p_data(
            COMMAND | LAST,
            command(
                0x0001,
                with_data_set=True,
                AffectedSOPClassUID="1.2\\1.3",
                AffectedSOPInstanceUID="1.2\\1.3",
                Priority=0,
            ),
            context=3,
        ),
        p_data(LAST, b"data", context=3),
    ),
    "UID in no alphabet": (
        request(),
        p_data(COMMAND | LAST, command(0x0030, AffectedSOPClassUID="1.\u00da\x1b[2J")),
    ),
    "store without priority": (
        request(),
        p_data(COMMAND | LAST, command(0x0001, with_data_set=True, AffectedSOPClassUID="1.2"), context=3),
        p_data(LAST, b"data", context=3),
    ),
}


def test_hostile_messages(target: Target) -> None:
    """Whatever stands in a request or a message: no crash, no thread, no file, no traceback, nothing slow."""
    threads = target.node.footprint().threads
    for name, message in {**HOSTILE_MESSAGES, **FOUND_BY_FUZZING}.items():
        started = time.monotonic()
        with target.connected() as opened:
            attacks.converse(opened, message if isinstance(message, tuple) else [message])
            send_until_closed(opened, ABORT_RQ, times=1)
            wait_for(lambda opened=opened: is_closed(opened), f"the end of: {name}")
        wait_for(
            lambda: target.node.footprint().threads <= threads + TIMED_JOB_THREADS,
            f"the place is free again: {name}",
        )
        assert time.monotonic() - started < 10, name

    for row in target.events("association.aborted"):
        for text in (row.peer_ae or "", str(row.detail)):
            assert text.isascii()
            assert text.isprintable()


def test_requests_that_take_long_to_read(target: Target) -> None:
    """A hundred requests stuffed with items are refused unread: others are answered meanwhile."""
    syntaxes = item(0x20, b"\1\0\0\0" + 4000 * item(0x40, b"1.2.3.4"))
    stuffed = request(items=APPLICATION + 5 * syntaxes + user_information())
    started = time.monotonic()
    for _ in range(20):
        with ExitStack() as stack:
            opened = [stack.enter_context(target.connected()) for _ in range(5)]
            for each in opened:
                each.sendall(stuffed)
            wait_for(lambda opened=opened: all(is_closed(each) for each in opened), "all to be closed")

    assert time.monotonic() - started < 10
    assert "items" in target.events("association.rejected")[0].detail["found"]


@pytest.mark.parametrize("maximum", [32, 33, 100])
def test_small_maximum_of_the_peer(maximum: int, target: Target) -> None:
    """A peer that takes little at a time is answered in pieces that it takes."""
    items = APPLICATION + ECHO + user_information(maximum)
    with target.associated(items=items) as opened:
        opened.sendall(echo_rq())
        answer = b""
        while not answer or not answer[5] & LAST:
            kind, answer = read_pdu(opened)
            assert kind == 0x04
            assert len(answer) <= maximum
