"""kill -9 of either process at any moment: nothing acknowledged is missing, no duplicate in the PACS."""

import random
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from support import builders
from support.kill_moments import ADOPTING, RECEIVER_MOMENTS, WORKER_MOMENTS
from support.node import PATIENCE_S, NodeHarness, children_of, kill, process_node, wait_for
from support.pacs import Pacs

from dicom_node.storage.retention import RetentionSweep
from store.db.states import InstanceState

RESULTS_PER_IMAGE = 2
UNRECORDED_MOMENTS = [
    "store.files.placing:Placing.place",
    "dicom_node.study.kept_results:_keep:after",
    "dicom_node.study.pipeline:record_outcomes",
]
"""Something is on disk that the database does not have on record."""


@pytest.fixture
def node(tmp_path: Path, pacs: Pacs) -> Iterator[NodeHarness]:
    """Return a node that delivers to the PACS, not started."""
    # The tests kill the worker more often than bad luck would: not to be taken for a poisonous image.
    made = process_node(tmp_path, [pacs.destination], job_attempts=30)
    yield made
    made.close()


def image(number: int, *, study: int = 1, comment: str = "") -> FileDataset:
    """Return an image of a study."""
    study_uid = generate_uid(entropy_srcs=["crash", str(study)])
    return builders.image_2d(StudyInstanceUID=study_uid, InstanceNumber=number, ImageComments=comment)


def send_until_acknowledged(node: NodeHarness, ds: FileDataset) -> None:
    """Send as a scanner does: again, until the node says that it has the image."""
    wait_for(lambda: node.send(ds), "the image is acknowledged")


def assert_complete(node: NodeHarness, pacs: Pacs, images: list[FileDataset]) -> None:
    """Check that every acknowledged image is kept and measured, and reported once."""
    for ds in images:
        row = node.instance(ds)
        assert row.state is InstanceState.MEASURED
        assert (node.data_dir / row.path).is_file()
    assert pacs.contradictions() == {}
    assert node.broken_audit_rows() == []
    assert set(pacs.uids) == {event.sop_instance_uid for event in node.events("delivery.delivered")}
    assert node.deliveries()["PENDING"] == node.deliveries()["DEAD"] == 0


def test_worker_killed_at_named_moments(node: NodeHarness, pacs: Pacs) -> None:
    """Wherever a worker dies, the next ones bring its study to the PACS, each object with one content."""
    images = []
    for number, moment in enumerate(WORKER_MOMENTS):
        images.append(image(1, study=number))
        node.receive(images[-1])
        victim = node.start_role("work", DIE_AT=moment, DIED_ONCE=str(node.folder / f"died {number}"))
        assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL, moment

    node.start_role("work")
    wait_for(lambda: node.delivered() == RESULTS_PER_IMAGE * len(images), "all results are delivered")

    assert_complete(node, pacs, images)
    assert len(set(pacs.uids)) == RESULTS_PER_IMAGE * len(images)


def test_files_of_an_overtaken_job_are_removed(node: NodeHarness) -> None:
    """A late image overtakes a job whose worker has died: what that wrote and never recorded goes."""
    for number, moment in enumerate(UNRECORDED_MOMENTS):
        node.receive(image(1, study=number))
        victim = node.start_role("work", DIE_AT=moment, DIED_ONCE=str(node.folder / f"died {number}"))
        assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL, moment
        assert node.files_on_disk() - node.files_of_rows(), moment
        node.receive(image(2, study=number))

    node.start_role("work")
    delivered = 2 * RESULTS_PER_IMAGE * len(UNRECORDED_MOMENTS)
    wait_for(lambda: node.delivered() == delivered, "all results are delivered")

    RetentionSweep(node.runtime).run()
    assert node.files_on_disk() == node.files_of_rows()
    because = {event.detail["because"] for event in node.events("result.file_removed")}
    assert because == {"never recorded"}
    assert node.events("job.superseded")


def test_receiver_killed_at_named_moments(node: NodeHarness) -> None:
    """Wherever a receiver dies, the scanner's second try finds one instance, one file and no leftovers."""
    images = []
    for number, moment in enumerate(RECEIVER_MOMENTS):
        victim = node.start_role("receive", DIE_AT=moment, DIED_ONCE=str(node.folder / f"died {number}"))
        node.wait_until_listening()
        images.append(image(number))
        assert not node.send(images[-1]), moment
        assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL, moment
    adopting = node.start_role("receive", DIE_AT=ADOPTING, DIED_ONCE=str(node.folder / "died adopting"))
    assert adopting.wait(timeout=PATIENCE_S) == -signal.SIGKILL

    node.start_role("receive")
    node.wait_until_listening()
    for ds in images:
        send_until_acknowledged(node, ds)

    uids = {str(ds.SOPInstanceUID) for ds in images}
    files = [path.name for path in (node.data_dir).rglob("*") if path.suffix in {".dcm", ".part"}]
    assert {row.sop_instance_uid for row in node.instances(images[0].StudyInstanceUID)} == uids
    assert sorted(files) == sorted(f"{uid}.dcm" for uid in uids)
    assert node.events("instance.conflict") == []


def test_three_crashes_fail_the_job(tmp_path: Path) -> None:
    """An image that kills the worker each time is given up after three, and the worker lives on."""
    with closing(process_node(tmp_path, job_attempts=3)) as node:
        node.receive(image(1))
        for number in range(3):
            marker = str(node.folder / f"died {number}")
            victim = node.start_role("work", DIE_AT="dicom_node.roles.worker:run_job", DIED_ONCE=marker)
            assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL

        node.start_role("work")

        wait_for(lambda: node.events("study.failed"), "the study is given up")
        assert len(node.events("job.requeued")) == 2


def test_killed_at_random(node: NodeHarness, pacs: Pacs) -> None:
    """Five kills of a supervised receiver or worker while studies come in: all is kept and reported once."""
    chance = random.Random(20261122)
    supervisor = node.start_role("serve")
    node.wait_until_listening()
    images = []
    for number in range(5):
        images.append(image(number, study=number % 4))
        send_until_acknowledged(node, images[-1])
        if number % 3 == 0:  # let it get further
            wait_for(lambda: len(children_of(supervisor)) == 2, "both children run")
        kill(chance.choice(wait_for(lambda: children_of(supervisor), "a child runs")))

    expected = {str(ds.SOPInstanceUID) for ds in images}
    wait_for(
        lambda: (
            {event.detail["source_sop_instance_uid"] for event in node.events("result.created")} == expected
            and node.deliveries()["PENDING"] == 0
        ),
        "every image is reported and delivered",
    )
    assert_complete(node, pacs, images)
