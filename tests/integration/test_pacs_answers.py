"""What a PACS may answer to an association request: every outcome is a value, and one attempt."""

import struct
import time
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support.attacks import item, pdu
from support.node import NodeHarness
from support.raw_acceptor import (
    IMPLEMENTATION_CLASS,
    MAXIMUM_LENGTH,
    Contexts,
    acceptance,
    accepting,
    context,
    implicit_only,
    raw_acceptor,
)

from dicom_node.errors import ProtocolViolation
from dicom_node.network.association_pdus import readable_answer
from dicom_node.network.outcomes import Accepted, UnknownAETitle, Unreachable, Unsupported
from dicom_node.network.scu import echo
from store.db.states import DeliveryState

USER = (MAXIMUM_LENGTH, IMPLEMENTATION_CLASS)
VENDOR = item(0x99, b"vendor")
NEVER_PROPOSED = context(99, 0, item(0x40, ExplicitVRLittleEndian.encode()))


def rejected_plainly(contexts: Contexts) -> bytes:
    """Reject every context without the transfer syntax sub-item, which has no meaning then."""
    return b"".join(context(number, 4) for number, *_ in contexts)


DELIVERED = {
    "as the standard says": lambda each: acceptance(accepting(each), *USER),
    "no maximum length": lambda each: acceptance(accepting(each), IMPLEMENTATION_CLASS),
    "no user information": lambda each: acceptance(accepting(each)),
    "unknown sub-items": lambda each: acceptance(accepting(each), VENDOR, *USER, VENDOR),
    "unknown items": lambda each: acceptance(VENDOR + accepting(each) + VENDOR, *USER),
    "a context that was never proposed": lambda each: acceptance(accepting(each) + NEVER_PROPOSED, *USER),
    "contexts that were never proposed first": lambda each: acceptance(
        NEVER_PROPOSED + context(97, 3) + accepting(each), *USER
    ),
    "titles that are no text": lambda each: acceptance(accepting(each), *USER, titles=b"\xff" * 32),
    "UIDs padded with NUL": lambda each: acceptance(
        b"".join(context(number, 0, item(0x40, ts.encode() + b"\0")) for number, _, ts in each), *USER
    ),
    "the implicit ones refused plainly": lambda each: acceptance(
        accepting(each, only=ExplicitVRLittleEndian), *USER
    ),
    "a version name that is no text": lambda each: acceptance(
        accepting(each), *USER, item(0x55, b"\xc4\x01")
    ),
    "only the default transfer syntax": implicit_only,
}
PARKED = {
    "all refused without transfer syntax": lambda each: acceptance(rejected_plainly(each), *USER),
    "no context at all": lambda _: acceptance(b"", *USER),
    "only contexts that were never proposed": lambda _: acceptance(NEVER_PROPOSED, *USER),
    "results that are none": lambda each: acceptance(
        b"".join(context(number, 77) for number, *_ in each), *USER
    ),
    "accepted without transfer syntax": lambda each: acceptance(
        b"".join(context(number, 0) for number, *_ in each), *USER
    ),
    "accepted with another transfer syntax": lambda each: acceptance(
        b"".join(context(number, 0, item(0x40, b"1.2.840.10008.1.2.4.50")) for number, *_ in each), *USER
    ),
    "our AE title is not known": lambda _: pdu(0x03, bytes([0, 1, 1, 3])),
}
TRIED_AGAIN = {
    "rejected for now": lambda _: pdu(0x03, bytes([0, 2, 3, 1])),
    "rejected with values that are none": lambda _: pdu(0x03, bytes([0, 9, 8, 7])),
    "a rejection of two bytes": lambda _: pdu(0x03, bytes(2)),
    "an abort": lambda _: pdu(0x07, bytes(4)),
    "an abort with values that are none": lambda _: pdu(0x07, b"\0\0\x09\x09"),
    "a release": lambda _: pdu(0x05, bytes(4)),
    "a request": lambda each: b"\x01" + acceptance(accepting(each), *USER)[1:],
    "an unknown PDU": lambda _: pdu(0x42, b"what"),
    "an answer of 4 GB": lambda _: struct.pack(">BxL", 2, 0xFFFFFFFF),
    "half an answer": lambda each: acceptance(accepting(each), *USER)[:90],
    "an item that is too long": lambda _: acceptance(item(0x21, b"", length=9), *USER),
    "a maximum length of 4": lambda each: acceptance(accepting(each), item(0x51, struct.pack(">L", 4))),
    "a context of two bytes": lambda _: acceptance(item(0x21, b"\1\0"), *USER),
    "nothing but zeros": lambda _: bytes(4096),
    "HTTP": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an empty answer": lambda _: b"",
}


@pytest.mark.parametrize("name", DELIVERED)
def test_delivered(name: str, tmp_path: Path) -> None:
    """What the standard lets a requestor skip is skipped."""
    with raw_acceptor(DELIVERED[name]) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        uid = node.add_result(1)

        node.deliver()

        assert [row.sop_instance_uid for row in node.events("delivery.delivered")] == [uid]
        assert len(pacs.received) == 1


@pytest.mark.parametrize("name", PARKED)
def test_parked(name: str, tmp_path: Path) -> None:
    """What would be the same the next time is parked, with one attempt and a reason."""
    with raw_acceptor(PARKED[name]) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        node.add_result(1)

        node.deliver()

        (dead,) = node.events("delivery.dead")
        assert dead.detail["attempts"] == 1
        assert dead.detail["error"]


@pytest.mark.parametrize("name", TRIED_AGAIN)
def test_tried_again_later(name: str, tmp_path: Path) -> None:
    """Anything else counts one attempt, is audited, and waits before the next one."""
    with raw_acceptor(TRIED_AGAIN[name]) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        uids = [node.add_result(number, study=number) for number in (1, 2)]
        began = time.monotonic()

        node.deliver()
        node.deliver()

        assert time.monotonic() - began < 8
        retries = node.events("delivery.retry")
        assert sorted(row.sop_instance_uid for row in retries) == sorted(uids)
        assert {row.detail["attempts"] for row in retries} == {1}
        assert pacs.associations == 1


@settings(max_examples=25, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4))
def test_drawn_answers(changes: list[tuple[int, int]]) -> None:
    """Whatever bytes come, the outcome is a value."""

    def answer(contexts: Contexts) -> bytes:
        made = bytearray(acceptance(accepting(contexts), *USER))
        for at, byte in changes:
            made[at % len(made)] = byte
        return bytes(made)

    with raw_acceptor(answer) as pacs:
        peer = pacs.destination.model_copy(update={"timeout_s": 0.3})
        assert isinstance(echo(peer, calling_ae="X"), Accepted | Unreachable | Unsupported | UnknownAETitle)


def test_the_default_transfer_syntax_is_the_same_object(tmp_path: Path) -> None:
    """A PACS that takes only Implicit VR Little Endian gets every element of the file, and its UIDs."""
    with raw_acceptor(implicit_only) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        node.add_result(1)
        node.add_result(2, kind="overlay")

        node.deliver()

        files = [dcmread(path) for path in sorted(node.data_dir.glob("results/*/*/*.dcm"))]
    assert len(pacs.received) == len(files) == 2
    for sent, file in zip(pacs.received, files, strict=True):
        meta = b"\2\0\x10\0UI\x12\0" + ImplicitVRLittleEndian.encode() + b"\0"
        head = bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0" + struct.pack("<L", len(meta)) + meta
        read = dcmread(BytesIO(head + sent))
        if "PixelData" in read:
            read["PixelData"].VR = file["PixelData"].VR  # in implicit VR always OW (PS3.5 A.1)
        assert read == file


def test_an_object_that_ends_associations_holds_up_no_other(tmp_path: Path) -> None:
    """A PACS that drops the connection at one object: the others are delivered at once, this one waits."""
    with raw_acceptor(lambda each: acceptance(accepting(each), *USER), aborts_at=1) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        first = node.add_result(1, study=1)
        others = [node.add_result(number, study=number) for number in (2, 3)]
        node.now += timedelta(seconds=1)

        def at_first(contexts: Contexts) -> bytes:
            pacs.aborts_at = 1 if pacs.associations == 1 else None
            return acceptance(accepting(contexts), *USER)

        pacs.answer = at_first
        node.deliver()

        assert [row.sop_instance_uid for row in node.events("delivery.retry")] == [first]
        assert [row.sop_instance_uid for row in node.events("delivery.delivered")] == others
        assert pacs.associations == 2
        assert node.pending()[0].state is DeliveryState.PENDING


@given(st.binary(max_size=300))
def test_readable_or_refused(data: bytes) -> None:
    """The bytes of an answer are read or refused as a violation of the protocol, nothing else."""
    with suppress(ProtocolViolation):
        readable_answer(bytes([2, 0]) + struct.pack(">L", len(data) + 68) + bytes(68) + data)
