"""Association requests as carts and archives write them: accepted, rejected with a reason, or aborted."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom.uid import UltrasoundImageStorage
from pynetdicom.sop_class import Verification
from support.attacks import (
    CONTEXTS,
    RELEASE_RQ,
    connected,
    context_item,
    echo_rq,
    item,
    read_pdu,
    request,
    user_information,
)
from support.node import NodeHarness, receiver, wait_for

APPLICATION_CONTEXT = item(0x10, b"1.2.840.10008.3.1.1.1")
CONTEXT_ITEMS = b"".join(map(context_item, CONTEXTS))
ACCEPT, REJECT, ABORT = 0x02, 0x03, 0x07
UNKNOWN = item(0x99, b"vendor")
CONTEXT_WITH_UNKNOWN = item(
    0x20,
    b"\1\0\0\0"
    + item(0x30, Verification.encode())
    + UNKNOWN
    + item(0x40, b"1.2.840.10008.1.2")
    + item(0x41, b"\0"),
)
CLASS, MAXIMUM, VERSION = item(0x52, b"1.2.3"), item(0x51, struct.pack(">L", 16_384)), item(0x55, b"RAW")


def with_items(*items: bytes, called: bytes = b"ECHONODE") -> bytes:
    """Return a request with these items."""
    return request(items=b"".join(items), called=called)


def with_user(*sub_items: bytes) -> bytes:
    """Return a request with these user information sub-items."""
    return with_items(APPLICATION_CONTEXT, CONTEXT_ITEMS, item(0x50, b"".join(sub_items)))


def padded(uid: str, padding: bytes) -> bytes:
    """Return a request whose UIDs are padded."""
    context = item(0x30, uid.encode() + padding) + item(0x40, b"1.2.840.10008.1.2" + padding)
    return with_items(
        item(0x10, b"1.2.840.10008.3.1.1.1" + padding),
        item(0x20, b"\1\0\0\0" + context),
        item(0x50, MAXIMUM + item(0x52, b"1.2.3" + padding)),
    )


TOLERATED = {
    "nothing odd": request(),
    "called AE title padded with NUL": request(called=b"ECHONODE\0\0\0\0\0\0\0\0"),
    "called AE title padded with NUL and rubbish": request(called=b"ECHONODE\0\x07\xffLEFT"),
    "called AE title padded with line ends": request(called=b"ECHONODE\r\n\t\x1f"),
    "called AE title with blanks before it": request(called=b"   ECHONODE"),
    "protocol version 3": request(version=3),
    "protocol version 0xFFFF": request(version=0xFFFF),
    "no maximum length": with_user(CLASS, VERSION),
    "maximum length without limit": with_user(item(0x51, bytes(4)), CLASS),
    "no implementation class": with_user(MAXIMUM),
    "no user information": with_items(APPLICATION_CONTEXT, CONTEXT_ITEMS),
    "an empty user information": with_user(),
    "unknown sub-item": with_user(MAXIMUM, CLASS, UNKNOWN),
    "unknown sub-item before all others": with_user(UNKNOWN, item(0x5A, b""), MAXIMUM, CLASS),
    "unknown item": with_items(UNKNOWN, APPLICATION_CONTEXT, CONTEXT_ITEMS, UNKNOWN, user_information()),
    "unknown sub-item of a context": with_items(
        APPLICATION_CONTEXT, CONTEXT_WITH_UNKNOWN, user_information()
    ),
    "implementation version that is no text": with_user(MAXIMUM, CLASS, item(0x55, b"\xc4\0\x01")),
    "implementation version of 40 characters": with_user(MAXIMUM, CLASS, item(0x55, b"V" * 40)),
    "empty implementation version": with_user(MAXIMUM, CLASS, item(0x55, b"")),
    "implementation class that is no UID": with_user(MAXIMUM, item(0x52, b"unknown"), VERSION),
    "UIDs padded with NUL": padded(Verification, b"\0"),
    "UIDs padded with a blank": padded(Verification, b" "),
    "contexts behind the user information": with_items(
        APPLICATION_CONTEXT, user_information(), CONTEXT_ITEMS
    ),
}
TITLES = {
    b"VIVID": "VIVID",
    b"  VIVID S 70": "VIVID S 70",
    b"VIVID\0\0\0\0\0": "VIVID",
    b"VIVID\0rest": "VIVID",
    b"VIVID\x01\x02\n": "VIVID",
    b"KARDIO\xdc": r"KARDIO\xdc",
    b"\xe5\xbf\x83\xe8\x87\x93": r"\xe5\xbf\x83\xe8\x87\x93",
    b"A\\B": r"A\x5cB",
    b"A\tB": r"A\x09B",
    b"\xff" * 16: r"\xff" * 16,
}
REJECTED = {
    "calling AE title of blanks": (request(calling=b""), (1, 1, 3), "the calling AE title is blank"),
    "calling AE title of NUL": (request(calling=bytes(16)), (1, 1, 3), "the calling AE title is blank"),
    "called AE title of blanks": (request(called=b" "), (1, 1, 7), "called AE title is not ours"),
    "another called AE title": (request(called=b"ECHONODE\xdc"), (1, 1, 7), "called AE title is not ours"),
    "another application context": (
        with_items(item(0x10, b"1.2.3"), CONTEXT_ITEMS, user_information()),
        (1, 1, 2),
        "the application context is not DICOM's",
    ),
    "protocol version 2": (request(version=2), (1, 2, 2), None),
}
ABORTED = {
    "an item that is too long": (with_items(APPLICATION_CONTEXT, item(0x20, b"", length=99)), 6),
    "no context": (with_items(APPLICATION_CONTEXT, user_information()), 6),
    "a context without transfer syntax": (
        with_items(
            APPLICATION_CONTEXT,
            item(0x20, b"\1\0\0\0" + item(0x30, UltrasoundImageStorage.encode())),
            user_information(),
        ),
        6,
    ),
    "a maximum length of 8": (with_user(item(0x51, struct.pack(">L", 8)), CLASS), 6),
    "a maximum length of two bytes": (with_user(item(0x51, b"\1\0"), CLASS), 6),
    "a PDU of unknown type": (b"\x42\0\0\0\0\0", 1),
    "a release first": (RELEASE_RQ, 2),
    "a request of ten bytes": (b"\1\0\0\0\0\x0a" + bytes(10), 6),
}


class Answer(NamedTuple):
    """The first PDU of the node: its type and value."""

    kind: int
    value: bytes


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHarness]:
    """Yield a receiver for all tests of this module."""
    with receiver(tmp_path_factory.mktemp("requests") / "data") as running:
        yield running


def answer(opened: socket.socket, data: bytes) -> Answer:
    """Send a request; return the answer."""
    opened.sendall(data)
    return Answer(*read_pdu(opened))


@pytest.mark.parametrize("name", TOLERATED)
def test_accepted_and_served(name: str, node: NodeHarness) -> None:
    """What the standard lets a receiver skip is skipped: the association is accepted and does its work."""
    with connected(node.port) as opened:
        assert answer(opened, TOLERATED[name]).kind == ACCEPT
        opened.sendall(echo_rq())
        kind, value = read_pdu(opened)
        assert kind == 0x04
        assert value.endswith(b"\0\0")  # Status 0x0000, the last element of a C-ECHO-RSP
        opened.sendall(RELEASE_RQ)
        assert read_pdu(opened)[0] == 0x06


@pytest.mark.parametrize("title", TITLES, ids=repr)
def test_calling_titles_are_kept(title: bytes, node: NodeHarness) -> None:
    """The answer returns both titles byte by byte (PS3.8 table 9-17); the audit log has them readable."""
    sent = request(calling=title)
    with connected(node.port) as opened:
        accepted = answer(opened, sent)
        assert accepted.kind == ACCEPT
        assert accepted.value[4:36] == sent[10:42]
        opened.sendall(RELEASE_RQ)
        read_pdu(opened)

    wait_for(lambda: node.events("association.closed"), "the association is closed")
    assert TITLES[title] in {row.peer_ae for row in node.events("association.opened")}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected_for_a_reason(name: str, node: NodeHarness) -> None:
    """Result, source and reason (PS3.8 9.3.4) say why, and so does the audit log."""
    sent, expected, reason = REJECTED[name]
    with connected(node.port) as opened:
        rejected = answer(opened, sent)

    assert (rejected.kind, *rejected.value[1:4]) == (REJECT, *expected)
    if reason is not None:
        wait_for(lambda: reason in reasons(node), f"audited: {reason}")


@pytest.mark.parametrize("name", ABORTED)
def test_aborted_for_a_reason(name: str, node: NodeHarness) -> None:
    """What is malformed gets an A-ABORT of the service provider with its reason (PS3.8 table 9-26)."""
    sent, expected = ABORTED[name]
    with connected(node.port) as opened:
        aborted = answer(opened, sent)

    assert (aborted.kind, *aborted.value[2:4]) == (ABORT, 2, expected)
    wait_for(lambda: "no valid association request" in reasons(node), "audited")


def reasons(node: NodeHarness) -> set[object]:
    """Return the reasons of the rejections in the audit log."""
    return {row.detail["reason"] for row in node.events("association.rejected")}


def test_a_peer_is_listed_by_the_title_of_the_audit_log(tmp_path: Path) -> None:
    """What the audit log shows can be copied into [[peers]], and lets that cart in and no other."""
    peers = [{"ae_title": r"KARDIO\xdc", "host": "127.0.0.1"}]
    with receiver(tmp_path / "data", peers=peers) as node:
        for title, kind in ((b"KARDIO\xdc", ACCEPT), (b"KARDIO\xdd", REJECT), (rb"KARDIO\xdc", REJECT)):
            with connected(node.port) as opened:
                assert answer(opened, request(calling=title)).kind == kind
