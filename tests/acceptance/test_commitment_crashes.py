"""kill -9 between a storage commitment request and its answer: the answer still finds its object."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from support import builders
from support.kill_moments import ASKING_MOMENTS
from support.node import PATIENCE_S, NodeHarness, process_node, wait_for
from support.pacs import Pacs
from support.scanner import Scanner, question

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
def node(tmp_path: Path, pacs: Pacs, scanner: Scanner) -> Iterator[NodeHarness]:
    """Return a node that delivers to the PACS and reports to the scanner, not started."""
    made = process_node(tmp_path, [pacs.destination], peers=[scanner.peer])
    yield made
    made.close()


@contextmanager
def dies(node: NodeHarness, role: str, moment: str) -> Iterator[None]:
    """Run a role that dies at a moment, during the block or soon after."""
    victim = node.start_role(role, DIE_AT=moment, DIED_ONCE=str(node.folder / moment.replace(":", "_")))
    if role == "receive":
        node.wait_until_listening()
    yield
    assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL, moment


def test_killed_while_asking_and_being_answered(node: NodeHarness, pacs: Pacs) -> None:
    """Worker and receiver die at every step; all objects end COMMITTED, each with one content."""
    images = [
        builders.image_2d(StudyInstanceUID=generate_uid(entropy_srcs=["commitment", moment]))
        for moment in ASKING
    ]
    for image, moment in zip(images, ASKING, strict=True):
        node.receive(image)
        with dies(node, "work", moment):
            pass
    assert node.deliveries()["SENT"] > 0
    answered = 0
    for moment in ANSWERING:
        with dies(node, "receive", moment):
            assert pacs.report(node.port, pacs.requests[0]) is None
    node.start_role("receive")
    node.start_role("work")
    node.wait_until_listening()

    def all_committed() -> bool:
        nonlocal answered
        for request in pacs.requests[answered:]:
            assert pacs.report(node.port, request) == 0x0000
            answered += 1
        return node.deliveries()["COMMITTED"] == RESULTS_PER_IMAGE * len(images)

    wait_for(all_committed, "all results are committed")
    assert pacs.contradictions() == {}
    assert len(set(pacs.uids)) == RESULTS_PER_IMAGE * len(images)
    assert node.broken_audit_rows() == []
    assert len(node.events("delivery.committed")) == RESULTS_PER_IMAGE * len(images)


def test_killed_while_being_asked(node: NodeHarness, scanner: Scanner) -> None:
    """The scanner asks until it has a response; what was acknowledged is reported, by whoever lives."""
    image = builders.image_2d()
    node.receive(image)
    for moment in BEING_ASKED:
        with dies(node, "receive", moment), scanner.association(node.port) as opened:
            assert scanner.ask(opened, question(image)) is None
    receiver = node.start_role("receive")
    node.wait_until_listening()
    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    receiver.kill()

    node.start_role("work")

    def reported() -> bool:
        with node.database.read() as session:
            return commitment_reports.counts(session)[ReportState.REPORTED] == 1

    wait_for(reported, "the worker's report")
    assert [(kind, ds.TransactionUID) for kind, ds, _ in scanner.reports] == [(1, "1.2.3")]
