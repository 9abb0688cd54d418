"""The outbox against real peers: what each answer makes of a row, and in which order rows go."""

import gc
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from support.node import NodeHarness, free_port, wait_for
from support.pacs import Pacs
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.delivery.outbox import park_homeless
from dicom_node.network.outcomes import Accepted, Refused, Unreachable, Unsupported
from dicom_node.network.scu import echo
from dicom_node.roles.schedule import worker_scheduler
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination
from store.audit import audit_log
from store.db.database import Database


def test_delivers_in_order_and_once(tmp_path: Path, pacs: Pacs) -> None:
    """Objects of a study arrive in the order they were made, each once, and the rows say so."""
    node = NodeHarness(tmp_path, pacs.destination)
    made = [node.add_result(1), node.add_result(2, kind="overlay"), node.add_result(3)]

    node.deliver()
    node.deliver()

    assert made == pacs.uids
    assert node.pending() == []
    assert made == [event.sop_instance_uid for event in node.events("delivery.delivered")]


def test_sends_the_bytes_of_the_file(tmp_path: Path, pacs: Pacs) -> None:
    """What arrives is byte for byte the data set on disk."""
    got: list[bytes] = []
    pacs.answer = lambda event: got.append(event.request.DataSet.getvalue()) or 0x0000
    node = NodeHarness(tmp_path, pacs.destination)
    node.add_result(1, kind="overlay")
    file = next(node.data_dir.glob("results/*/*/1.dcm")).read_bytes()

    node.deliver()

    assert file.endswith(got[0])
    assert len(got[0]) > 64 * 96


def test_negotiates_exactly_what_it_sends(tmp_path: Path, pacs: Pacs) -> None:
    """Heads of several studies share one association that proposes their SOP classes and nothing else."""
    node = NodeHarness(tmp_path, pacs.destination)
    node.add_result(1, study=1)
    node.add_result(2, study=2, kind="overlay")
    node.add_result(3, study=3)
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    classes = (ComprehensiveSRStorage, SecondaryCaptureImageStorage)

    node.deliver()

    assert [{(sop_class, syntax) for sop_class in classes for syntax in syntaxes}] == pacs.proposed


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110, 0x0124])
def test_a_passing_refusal_is_tried_again_then_parked(tmp_path: Path, pacs: Pacs, status: int) -> None:
    """Out of resources and the like are retried with growing waits, and parked after give_up_hours."""
    pacs.answer = lambda _: status
    node = NodeHarness(tmp_path, pacs.destination, give_up_hours=0.01)
    node.add_result(1)

    waits_s = []
    while waiting := node.pending():
        node.now = max(node.now, waiting[0].next_attempt_at)
        assert node.deliver() == 1
        assert node.deliver() == 0  # not before it is due
        for row in node.pending():
            waits_s.append((row.next_attempt_at - node.now).total_seconds())
            assert row.last_status == status

    assert 4 <= waits_s[0] <= 5
    assert 8 <= waits_s[1] <= 10
    assert 36 <= sum(waits_s) <= 75
    assert f"0x{status:04X}" in node.events("delivery.dead")[0].detail["error"]


@pytest.mark.parametrize("status", [0x0122, 0xA900, 0xA9FF, 0xC000, 0xC211])
def test_a_refusal_of_the_object_parks_it_at_once(tmp_path: Path, pacs: Pacs, status: int) -> None:
    """The same object would be refused tomorrow: no retry, and the next of the study goes on."""
    node = NodeHarness(tmp_path, pacs.destination)
    refused, other = node.add_result(1), node.add_result(2)
    pacs.answer = lambda event: status if event.request.AffectedSOPInstanceUID == refused else 0x0000

    node.deliver()

    assert [other] == pacs.uids
    assert [refused] == [event.sop_instance_uid for event in node.events("delivery.dead")]


@pytest.mark.parametrize("status", [0xB000, 0xB007, 0x0111])
def test_a_warning_is_a_delivery(tmp_path: Path, pacs: Pacs, status: int) -> None:
    """Stored with a warning, or held already, is delivered; the status is noted."""
    pacs.answer = lambda _: status
    node = NodeHarness(tmp_path, pacs.destination)
    node.add_result(1)

    node.deliver()

    assert node.pending() == []
    assert [f"0x{status:04X}"] == [event.detail["status"] for event in node.events("delivery.delivered")]


def test_a_sop_class_that_is_not_negotiated_is_parked(tmp_path: Path) -> None:
    """The peer takes SR but no overlay: the overlay is parked with that reason, the SR arrives."""
    with Pacs(sop_classes=[ComprehensiveSRStorage]) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        sr, overlay = node.add_result(1), node.add_result(2, kind="overlay")

        node.deliver()

        assert [sr] == pacs.uids
        assert [overlay] == [event.sop_instance_uid for event in node.events("delivery.dead")]
        assert SecondaryCaptureImageStorage in node.events("delivery.dead")[0].detail["error"]


def test_nothing_negotiated_is_no_outage(tmp_path: Path) -> None:
    """A peer that accepts no presentation context at all is told apart from one that is down."""
    with Pacs(sop_classes=["1.2.840.10008.5.1.4.1.1.2"]) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        node.add_result(1)

        node.deliver()

        assert node.pending() == []
        assert "not accepted" in node.events("delivery.dead")[0].detail["error"]


def test_a_pacs_that_is_down_gets_everything_later_in_order(tmp_path: Path) -> None:
    """While the PACS is down rows wait; when it comes back they arrive in order."""
    port = free_port()
    node = NodeHarness(tmp_path, Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port))
    made = [node.add_result(1), node.add_result(2)]

    node.deliver()

    assert "no association" in (node.pending()[0].error or "")
    node.now += timedelta(seconds=5)
    with Pacs(port=port) as pacs:
        node.deliver()
        assert made == pacs.uids


def test_an_association_dropped_half_way_repeats_the_same_bytes(tmp_path: Path, pacs: Pacs) -> None:
    """The PACS keeps the object and aborts before it answers: it is sent again, equal to the last byte."""

    def keep_and_abort(event: Any) -> int:
        pacs.answer = lambda _: 0x0000
        event.assoc.abort()
        return 0x0000

    pacs.answer = keep_and_abort
    node = NodeHarness(tmp_path, pacs.destination)
    made = node.add_result(1)

    node.deliver()
    node.now += timedelta(seconds=5)
    node.deliver()

    assert [made, made] == pacs.uids
    assert pacs.contradictions() == {}
    assert node.pending() == []


def test_a_failing_study_does_not_hold_up_another(tmp_path: Path, pacs: Pacs) -> None:
    """While one study's object waits for its retry, those of other studies go, its own later ones do not."""
    node = NodeHarness(tmp_path, pacs.destination)
    stuck, behind, other = (
        node.add_result(1, study=1),
        node.add_result(2, study=1),
        node.add_result(3, study=2),
    )
    pacs.answer = lambda event: 0xA700 if event.request.AffectedSOPInstanceUID == stuck else 0x0000

    node.deliver()

    assert [other] == pacs.uids
    pacs.answer = lambda _: 0x0000
    node.now += timedelta(seconds=5)
    node.deliver()
    assert [other, stuck, behind] == pacs.uids


def test_a_destination_taken_out_of_the_settings_is_parked(tmp_path: Path, pacs: Pacs) -> None:
    """Rows for a destination that no longer exists are parked with that reason, others are not touched."""
    node = NodeHarness(tmp_path, pacs.destination)
    node.add_result(1)
    node.runtime = replace(node.runtime, settings=Settings())

    assert park_homeless(node.runtime) == 1

    assert node.pending() == []
    assert "'pacs' is no longer in the settings" in node.events("delivery.dead")[0].detail["error"]


DAMAGES: dict[str, tuple[Callable[[bytes], bytes | None], str]] = {
    "gone": (lambda _: None, "the file is gone"),
    "cut off": (lambda data: data[:-100], "the file is damaged"),
    "one bit flipped": (lambda data: data[:-9] + bytes([data[-9] ^ 4]) + data[-8:], "the file is damaged"),
    "empty": (lambda _: b"", "the file is not a DICOM file"),
    "no preamble": (lambda data: data[132:], "the file is not a DICOM file"),
    "cut off in its meta information": (lambda data: data[:150], "the file is"),
    "other bytes": (lambda data: bytes(each ^ 0x5A for each in data), "the file is not a DICOM file"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_parked_and_sent_after_repair(tmp_path: Path, pacs: Pacs, name: str) -> None:
    """A damaged result is a reason, stops no other, and goes out by `resend` once its file is back."""
    node = NodeHarness(tmp_path, pacs.destination)
    damaged, other = node.add_result(1, study=1), node.add_result(2, study=2)
    file = next(node.data_dir.glob("results/*/*/1.dcm"))
    sound = file.read_bytes()
    damage, reason = DAMAGES[name]
    if (data := damage(sound)) is None:
        file.unlink()
    else:
        file.write_bytes(data)

    node.deliver()

    assert [other] == pacs.uids
    (dead,) = node.events("delivery.dead")
    assert (dead.sop_instance_uid, dead.detail["attempts"]) == (damaged, 1)
    assert str(dead.detail["error"]).startswith(reason)

    file.write_bytes(sound)
    CliRunner().invoke(app, ["resend", "--dead", "--config", str(node.config)])
    node.now = datetime.now(UTC)
    node.deliver()
    assert [other, damaged] == pacs.uids


def test_stop_ends_a_delivery_between_two_objects(tmp_path: Path, pacs: Pacs) -> None:
    """A stop request lets the object under way finish and leaves the others for the next start."""
    node = NodeHarness(tmp_path, pacs.destination)
    made = [node.add_result(1, study=1), node.add_result(2, study=2)]
    pacs.answer = lambda _: node.runtime.stop.set() or 0x0000

    assert node.deliver() == 1

    assert made[:1] == pacs.uids
    assert made[1:] == [row.sop_instance_uid for row in node.pending()]


def test_no_transaction_is_held_while_the_peer_thinks(tmp_path: Path, pacs: Pacs) -> None:
    """The database can be written while a C-STORE is under way."""
    node = NodeHarness(tmp_path, pacs.destination)
    node.add_result(1)
    other = Database(node.settings.store_url, busy_timeout_s=0.1)

    def write_meanwhile(_: Any) -> int:
        with other.transaction() as session:
            audit_log.record(session, "node.started", at=node.now)
        return 0x0000

    pacs.answer = write_meanwhile
    node.deliver()
    other.close()

    assert len(pacs.uids) == 1
    assert len(node.events("node.started")) == 1


def test_echo_tells_every_way_it_can_go(pacs: Pacs) -> None:
    """C-ECHO: an answer, a port nobody listens on, a name nobody has."""
    nobody = Destination(name="x", ae_title="PACS", host="127.0.0.1", port=free_port())

    nowhere = Destination(name="x", ae_title="PACS", host="no-such-host.invalid", port=104)

    assert echo(pacs.destination, calling_ae="ECHONODE") == Accepted(status=0x0000)
    assert isinstance(echo(nobody, calling_ae="ECHONODE"), Unreachable)
    assert isinstance(echo(nowhere, calling_ae="ECHONODE"), Unreachable)


def test_a_silent_peer_times_out(tmp_path: Path) -> None:
    """A peer that accepts the connection and says nothing costs its timeout, no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = Destination(
            name="pacs", ae_title="PACS", host="127.0.0.1", port=silent.getsockname()[1], timeout_s=0.5
        )
        node = NodeHarness(tmp_path, there)
        node.add_result(1)
        began_s = time.monotonic()

        node.deliver()

        assert time.monotonic() - began_s < 3
        assert "no association" in (node.pending()[0].error or "")


def test_a_peer_that_is_down_costs_no_socket() -> None:
    """Attempts against a dead port close what they opened, without waiting for the garbage collector."""
    nobody = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=free_port())
    open_files = Path("/proc/self/fd")
    echo(nobody, calling_ae="ECHONODE")
    gc.disable()
    before = len(list(open_files.iterdir()))

    for _ in range(5):
        echo(nobody, calling_ae="ECHONODE")

    after = len(list(open_files.iterdir()))
    gc.enable()
    assert after == before


def test_a_hanging_destination_delays_only_itself(tmp_path: Path, pacs: Pacs) -> None:
    """While one destination keeps its job waiting, another one gets its objects."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hanging = Destination(name="hanging", ae_title="PACS", host="127.0.0.1", port=port, timeout_s=60)
        node = NodeHarness(tmp_path, hanging, pacs.destination)
        made = [node.add_result(1, study=1), node.add_result(2, study=2), node.add_result(3, study=1)]
        running = worker_scheduler(node.runtime, lambda: None)
        running.start()

        wait_for(lambda: len(pacs.uids) == len(made), "the other one has everything", limit_s=20)
        node.runtime.stop.set()
    running.shutdown()


def test_outcomes_read_as_sentences() -> None:
    """What a row keeps as its error can be read by an administrator."""
    assert str(Refused(status=0xA700)) == "refused with status 0xA700"
    assert str(Unsupported(why="no SR here")) == "no SR here"
