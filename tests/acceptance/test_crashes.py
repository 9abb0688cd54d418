"""kill -9 of either process at any moment: nothing acknowledged is missing, no duplicate in the PACS."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import builders
import pytest
from moments import ADOPTING, RECEIVER_MOMENTS, WORKER_MOMENTS
from pacs import Pacs
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from rig import PATIENCE_S, Rig, children_of, kill, wait_for

from store.db.states import InstanceState

RESULTS_PER_IMAGE = 2


@pytest.fixture
def rig(tmp_path: Path, pacs: Pacs) -> Iterator[Rig]:
    """Return a node that delivers to the PACS, not started."""
    # The tests kill the worker more often than bad luck would: not to be taken for a poisonous image.
    made = Rig(tmp_path, [pacs.destination], job_attempts=30)
    yield made
    made.close()


def image(number: int, *, study: int = 1, comment: str = "") -> FileDataset:
    """Return an image of a study."""
    study_uid = generate_uid(entropy_srcs=["crash", str(study)])
    return builders.image_2d(StudyInstanceUID=study_uid, InstanceNumber=number, ImageComments=comment)


def send_until_acknowledged(rig: Rig, ds: FileDataset) -> None:
    """Send as a scanner does: again, until the node says that it has the image."""
    wait_for(lambda: rig.send(ds), "the image is acknowledged")


def assert_complete(rig: Rig, pacs: Pacs, images: list[FileDataset]) -> None:
    """Check that every acknowledged image is kept and measured, and reported once."""
    for ds in images:
        row = rig.instances(ds.StudyInstanceUID)[ds.SOPInstanceUID]
        assert row.state is InstanceState.MEASURED
        assert (rig.folder / "data" / row.path).is_file()
    assert pacs.contradictions() == {}
    assert rig.broken_audit_rows() == []
    assert set(pacs.uids) == {event.sop_instance_uid for event in rig.events("delivery.delivered")}
    assert rig.deliveries()["PENDING"] == rig.deliveries()["DEAD"] == 0


def test_worker_killed_at_named_moments(rig: Rig, pacs: Pacs) -> None:
    """Wherever a worker dies, the next ones bring its study to the PACS, each object with one content."""
    images = []
    for number, moment in enumerate(WORKER_MOMENTS):
        images.append(image(1, study=number))
        rig.ingest(images[-1])
        victim = rig.role("work", DIE_AT=moment, DIED_ONCE=str(rig.folder / f"died {number}"))
        assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL, moment

    rig.role("work")
    wait_for(lambda: rig.delivered() == RESULTS_PER_IMAGE * len(images), "all results are delivered")

    assert_complete(rig, pacs, images)
    assert len(set(pacs.uids)) == RESULTS_PER_IMAGE * len(images)


def test_receiver_killed_at_named_moments(rig: Rig) -> None:
    """Wherever a receiver dies, the scanner's second try finds one instance, one file and no leftovers."""
    images = []
    for number, moment in enumerate(RECEIVER_MOMENTS):
        victim = rig.role("receive", DIE_AT=moment, DIED_ONCE=str(rig.folder / f"died {number}"))
        wait_for(rig.listening, "the receiver listens")
        images.append(image(number))
        assert not rig.send(images[-1]), moment
        assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL, moment
    adopting = rig.role("receive", DIE_AT=ADOPTING, DIED_ONCE=str(rig.folder / "died adopting"))
    assert adopting.wait(timeout=PATIENCE_S) == -signal.SIGKILL

    rig.role("receive")
    wait_for(rig.listening, "the receiver listens")
    for ds in images:
        send_until_acknowledged(rig, ds)

    uids = {str(ds.SOPInstanceUID) for ds in images}
    files = [path.name for path in (rig.folder / "data").rglob("*") if path.suffix in {".dcm", ".part"}]
    assert set(rig.instances(images[0].StudyInstanceUID)) == uids
    assert sorted(files) == sorted(f"{uid}.dcm" for uid in uids)
    assert rig.events("instance.conflict") == []


def test_three_crashes_bury_the_job(tmp_path: Path) -> None:
    """An image that kills the worker each time is given up after three, and the worker lives on."""
    rig = Rig(tmp_path, job_attempts=3)
    rig.ingest(image(1))
    for number in range(3):
        marker = str(rig.folder / f"died {number}")
        victim = rig.role("work", DIE_AT="dicom_node.roles.worker:run_job", DIED_ONCE=marker)
        assert victim.wait(timeout=PATIENCE_S) == -signal.SIGKILL

    rig.role("work")

    wait_for(lambda: rig.events("study.failed"), "the study is given up")
    assert len(rig.events("job.requeued")) == 2
    rig.close()


def test_killed_at_random(rig: Rig, pacs: Pacs) -> None:
    """Ten kills of receiver or worker, at random, while studies come in: all is kept and reported once."""
    chance = random.Random(20261122)
    supervisor = rig.role("serve")
    wait_for(rig.listening, "the receiver listens")
    images = []
    for number in range(10):
        images.append(image(number, study=number % 4))
        send_until_acknowledged(rig, images[-1])
        if number % 3 == 0:  # let it get further
            wait_for(lambda: len(children_of(supervisor)) == 2, "both children run")
        kill(chance.choice(wait_for(lambda: children_of(supervisor), "a child runs")))

    expected = {str(ds.SOPInstanceUID) for ds in images}
    wait_for(
        lambda: (
            {event.detail["source_sop_instance_uid"] for event in rig.events("result.created")} == expected
            and rig.deliveries()["PENDING"] == 0
        ),
        "every image is reported and delivered",
    )
    assert_complete(rig, pacs, images)
