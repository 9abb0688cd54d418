"""The parts of the analysis process that can be tried without one: frames, schema, filter, validation."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pydicom.valuerep import IS, DSfloat
from support import builders, fake_analyzer, measured_strips, reported
from support.rows_of_images import row_of

from dicom_node.process.clock import steady_s
from dicom_node.report.objects import ReportObject
from dicom_node.report.uids import series_uid
from dicom_node.study.image_result import ImageResult, unusable
from dicom_node.study.sandbox import seccomp
from dicom_node.study.sandbox.channel import BadReply, Channel
from dicom_node.study.sandbox.messages import BuildReport, Examined, Reply, Request, decode, encode
from dicom_node.study.sandbox.syscalls import ARCHITECTURES
from dicom_node.study.sandbox.validation import check_objects, check_result

IMAGE = builders.image_2d()
RESULT = ImageResult(image=row_of(IMAGE), strips=[measured_strips.strip_result()])


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """Return our end, and the other one without its rules."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


def test_a_frame_has_one_deadline(ends: tuple[Channel, socket.socket]) -> None:
    """Bytes that drip do not prolong it."""
    channel, other = ends
    other.sendall(struct.pack(">Q", 1000))
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            other.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        channel.receive(limit_bytes=2000, until_s=steady_s() + 0.3)
    stop.set()
    thread.join()

    assert time.monotonic() - began < 2


def test_nothing_is_allocated_for_what_is_announced(ends: tuple[Channel, socket.socket]) -> None:
    """A length above the limit ends the conversation before a byte of it is read."""
    channel, other = ends
    other.sendall(struct.pack(">Q", 4 << 30))

    with pytest.raises(BadReply, match="announced a reply of 4294967296 bytes"):
        channel.receive(limit_bytes=1000, until_s=steady_s() + 5)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (UID("1.2.3"), "1.2.3"),
        (DSfloat("1.5"), 1.5),
        (IS("7"), 7),
        (np.float32(0.5), 0.5),
        (np.int64(-3), -3),
        (MultiValue(str, ["a", "b"]), ["a", "b"]),
        (frozenset({"a"}), ["a"]),
        (MappingProxyType({"a": 1}), {"a": 1}),
    ],
)
def test_values_of_other_types_are_sent_as_plain_ones(value: object, plain: object) -> None:
    """What pydicom and numpy make of texts and numbers is text and number on the other side."""
    assert json.loads(encode({"value": value})) == {"value": plain}


def test_what_has_no_form_in_json_is_not_sent() -> None:
    """Nothing is turned into a list of what it happens to iterate over."""
    for value in (object(), iter("ab"), np.zeros(2)):
        with pytest.raises(TypeError, match="cannot be sent"):
            encode(value)


def test_messages_survive_the_way() -> None:
    """Every value of a request and of its answer is the same on the other side."""
    context = reported.context(plan=reported.plan("tid5200", "overlay"))
    request = Request(id=3, do=BuildReport(result=RESULT, context=context))
    reply = Reply(id=3, answer=Examined(result=RESULT))

    assert decode(encode(request), Request, Request) == request
    assert decode(encode(reply), Reply, Reply) == reply


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04.",
        b"",
        b"[" * 100_000,
        b'{"id": 1, "answer": {"type": "Failure", "place": NaN}}',
        b'{"id": 1, "answer": {"type": "Failure", "place": "x", "more": 1}}',
        b'{"id": 1, "answer": {"type": "Start", "analyzer": "os:system", "settings": {}}}',
        json.dumps({"id": 1, "answer": {"type": "Failure", "place": "x" * 1001}}).encode(),
    ],
)
def test_other_replies_are_refused(data: bytes) -> None:
    """Pickles, nesting, numbers that are none, unknown keys, requests and long texts are no replies."""
    with pytest.raises(BadReply, match="not of the schema"):
        decode(data, Reply, Reply)


def test_results_that_no_analysis_comes_to() -> None:
    """Another image, an unknown state or reason, an index beyond the cycles: none is believed."""
    strip = measured_strips.strip_result()
    wrong = [
        replace(strip, status="perfect"),
        replace(strip, used=(99,)),
        replace(strip, measurements={}),
        replace(strip, reason="no_cycle"),
        replace(strip, status="not_measured", reason="because"),
        replace(strip, frame=-1),
        replace(strip, detail="x" * 1001),
        replace(strip, withheld=("LVIDd_cm",)),
        replace(strip, withheld=("PatientName",)),
    ]

    check_result(RESULT, RESULT.image)
    check_result(unusable(RESULT.image, "damaged"), RESULT.image)
    with pytest.raises(BadReply, match="another image"):
        check_result(RESULT, row_of(builders.image_2d(InstanceNumber=7)))
    for each in wrong:
        with pytest.raises(BadReply, match="no analysis comes to"):
            check_result(replace(RESULT, strips=[each]), RESULT.image)


def test_result_objects_must_be_those_that_were_asked_for() -> None:
    """UIDs, class, study, series and maker are checked in the object and in its file."""
    context = reported.context(plan=reported.plan("tid5200", "overlay"))
    made = fake_analyzer.build_results(IMAGE, RESULT.strips, context)
    report, overlay = made

    check_objects(made, RESULT, context)
    for wrong in (
        [report, report],
        [replace(report, kind="tid1500")],
        [replace(report, sop_instance_uid=overlay.sop_instance_uid)],
        [replace(report, sop_class_uid=overlay.sop_class_uid)],
        [replace(report, data=overlay.data)],
        [replace(report, data=b"nothing")],
        [elsewhere(report)],
    ):
        with pytest.raises(BadReply, match="result object"):
            check_objects(wrong, RESULT, context)


def elsewhere(made: ReportObject) -> ReportObject:
    """Return the object with the Series Instance UID of another study's results."""
    ours, theirs = (
        series_uid("tid5200", study, str(IMAGE.SeriesInstanceUID)).encode()
        for study in (str(IMAGE.StudyInstanceUID), "1.2.3")
    )
    assert ours in made.data
    return replace(made, data=made.data.replace(ours, theirs.ljust(len(ours), b"\0")[: len(ours)]))


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_filter_is_whole(name: str) -> None:
    """Every jump ends inside the program, which ends with a refusal, and no call has two numbers."""
    architecture = ARCHITECTURES[name]
    code = [seccomp.INSTRUCTION.unpack(each) for each in chunks(seccomp.program(architecture, 42))]

    assert len(set(architecture.allowed.values())) == len(architecture.allowed)
    assert code[-1][0] == seccomp.RETURN
    assert all(n + 1 + max(yes, no) < len(code) for n, (_, yes, no, _) in enumerate(code[:-1]))
    for call in ("openat", "socket", "connect", "execve", "ptrace", "process_vm_readv", "io_uring_setup"):
        assert call not in architecture.allowed


def chunks(data: bytes) -> list[bytes]:
    """Return the instructions of a program."""
    size = seccomp.INSTRUCTION.size
    return [data[at : at + size] for at in range(0, len(data), size)]
