"""kill -9 between a storage commitment request and its answer: the answer still finds its object."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import builders
import pytest
from moments import ASKING_MOMENTS
from pacs import Pacs
from pydicom.uid import generate_uid
from rig import PATIENCE_S, Rig, wait_for
from scanner import Scanner, question

from store.db.states import ReportState
from store.rows import commitment_reports

RESULTS_PER_IMAGE = 2

ASKING, ANSWERING = ASKING_MOMENTS[:2], ASKING_MOMENTS[2:]
BEING_ASKED = [
    "dicom_node.commitment.scp:CommitmentSCP._accept",  # nothing is written
    "dicom_node.commitment.scp:CommitmentSCP._accept:after",  # written, the scanner has no response
]


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    """Start a PACS that takes storage commitment requests and reports when told to."""
    with Pacs(commitment=True) as running:
        yield running


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    """Start a scanner."""
    made = Scanner()
    yield made
    made.close()


@pytest.fixture
def rig(tmp_path: Path, pacs: Pacs, scanner: Scanner) -> Iterator[Rig]:
    """Return a node that delivers to the PACS and reports to the scanner, not started."""
    made = Rig(tmp_path, [pacs.destination], peers=[scanner.peer])
    yield made
    made.close()


@contextmanager
def dies(rig: Rig, role: str, moment: str) -> Iterator[None]:
    """Run a role that dies at a moment, during the block or soon after."""
    victim = rig.role(role, DIE_AT=moment, DIED_ONCE=str(rig.folder / moment.replace(":", "_")))
    if role == "receive":
        wait_for(rig.listening, "the receiver listens")
    yield
    assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL, moment


def test_killed_while_asking_and_being_answered(rig: Rig, pacs: Pacs) -> None:
    """Worker and receiver die at every step; all objects end COMMITTED, each with one content."""
    images = [
        builders.image_2d(StudyInstanceUID=generate_uid(entropy_srcs=["commitment", moment]))
        for moment in ASKING
    ]
    for image, moment in zip(images, ASKING, strict=True):
        rig.ingest(image)
        with dies(rig, "work", moment):
            pass
    assert rig.deliveries()["SENT"] > 0
    answered = 0
    for moment in ANSWERING:
        with dies(rig, "receive", moment):
            assert pacs.report(rig.port, pacs.requests[0]) is None
    rig.role("receive")
    rig.role("work")
    wait_for(rig.listening, "the receiver listens")

    def all_committed() -> bool:
        nonlocal answered
        for request in pacs.requests[answered:]:
            assert pacs.report(rig.port, request) == 0x0000
            answered += 1
        return rig.deliveries()["COMMITTED"] == RESULTS_PER_IMAGE * len(images)

    wait_for(all_committed, "all results are committed")
    assert pacs.contradictions() == {}
    assert len(set(pacs.uids)) == RESULTS_PER_IMAGE * len(images)
    assert rig.broken_audit_rows() == []
    assert len(rig.events("delivery.committed")) == RESULTS_PER_IMAGE * len(images)


def test_killed_while_being_asked(rig: Rig, scanner: Scanner) -> None:
    """The scanner asks until it has a response; what was acknowledged is reported, by whoever lives."""
    image = builders.image_2d()
    rig.ingest(image)
    for moment in BEING_ASKED:
        with dies(rig, "receive", moment), scanner.association(rig.port) as opened:
            assert scanner.ask(opened, question(image)) is None
    receiver = rig.role("receive")
    wait_for(rig.listening, "the receiver listens")
    with scanner.association(rig.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    receiver.kill()

    rig.role("work")

    def reported() -> bool:
        with rig.database.read() as session:
            return commitment_reports.counts(session)[ReportState.REPORTED] == 1

    wait_for(reported, "the worker's report")
    assert [(kind, ds.TransactionUID) for kind, ds, _ in scanner.reports] == [(1, "1.2.3")]
