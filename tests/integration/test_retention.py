"""Files of finished studies go, rows stay, and nothing unfinished is ever touched."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import text
from support import builders
from support.fork_server import SEARCH_PATH
from support.node import NodeHarness

from dicom_node.settings.sections import DiskSettings, RetentionSettings
from dicom_node.storage.retention import removal_reason
from store.db.states import InstanceState, StudyState
from store.errors import FilesGone, IllegalTransition
from store.rows import deliveries, delivery_transitions, studies
from store.rows.instances import Instance
from store.rows.retention_candidates import RetentionCandidate

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DIES = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from support import role
from support.node import runtime
from dicom_node.storage.retention import RetentionSweep
folder = Path(sys.argv[1])
role.arm(sys.argv[2], folder / "died")
RetentionSweep(runtime(folder, clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))).run()
"""


def study_uid(study: int) -> str:
    """Return the UID of a study."""
    return str(generate_uid(entropy_srcs=["retention", str(study)]))


def receive(node: NodeHarness, study: int, number: int = 1, **attributes: Any) -> str:
    """Take in an image whose UID depends on the numbers alone; return the audit event."""
    uid = generate_uid(entropy_srcs=["retention", str(study), str(number)])
    fixed = {"StudyInstanceUID": study_uid(study), "InstanceNumber": number, "SOPInstanceUID": uid}
    return node.receive(builders.image_2d(**fixed, **attributes))


def finish(node: NodeHarness, study: int, images: int = 1) -> None:
    """Bring a study from its first image to its end."""
    for number in range(1, images + 1):
        receive(node, study, number)
    node.work()
    node.deliver_everything()


def images(node: NodeHarness, study: int) -> list[Instance]:
    """Return the rows of a study."""
    return node.instances(study_uid(study))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeHarness]:
    """Return an empty node."""
    made = NodeHarness(tmp_path)
    yield made
    made.database.close()


DONE = RetentionCandidate(
    kind="instance",
    study_uid="1.2",
    state=StudyState.DONE,
    last_event_at=NOON - 10 * DAY,
    awaits_delivery=False,
    all_taken=False,
)
FAILED = replace(DONE, state=StudyState.FAILED)
TAKEN = replace(DONE, all_taken=True)
RESULT = replace(TAKEN, kind="result")


@pytest.mark.parametrize(
    ("candidate", "policy", "disk_low", "why"),
    [
        (DONE, {"days": 10}, False, "age"),
        (DONE, {"days": 11}, False, None),
        (DONE, {"days": 0}, True, None),  # for ever is for ever
        (DONE, {"days": 11}, True, "disk"),
        (DONE, {"days": 11, "once_committed": True}, False, None),  # something was not taken
        (TAKEN, {"days": 11, "once_committed": True}, False, "committed"),
        (TAKEN, {"days": 0, "once_committed": True}, False, "committed"),
        (TAKEN, {"days": 11}, False, None),
        (FAILED, {"days": 10}, False, "age"),
        (FAILED, {"days": 11}, True, None),  # nobody has seen its numbers
        (RESULT, {"days": 10}, False, "age"),
        (RESULT, {"days": 11, "once_committed": True}, True, None),
        (replace(TAKEN, state=None), {"days": 10}, False, "age"),  # our own object, come back
        (replace(TAKEN, awaits_delivery=True), {"days": 1, "once_committed": True}, True, None),
        *[
            (replace(TAKEN, state=state), {"days": 1, "once_committed": True}, True, None)
            for state in (StudyState.RECEIVING, StudyState.READY, StudyState.PROCESSING)
        ],
    ],
)
def test_rules(
    candidate: RetentionCandidate, policy: dict[str, Any], disk_low: bool, why: str | None
) -> None:
    """Age, commitment and a low disk let files go; an unfinished study keeps all of them."""
    assert removal_reason(candidate, now=NOON, policy=RetentionSettings(**policy), disk_low=disk_low) == why


def test_old_files_go_and_rows_stay(node: NodeHarness) -> None:
    """After their days received files and results are gone; rows, their outcome and one audit row say so."""
    finish(node, 1, images=2)
    node.now += 29 * DAY
    assert node.apply_retention() == 0
    node.now += 2 * DAY

    assert node.apply_retention() == 2 + 4
    assert node.studies_on_disk() == node.studies_on_disk("results") == set()
    assert {each.state for each in images(node, 1)} == {InstanceState.MEASURED}
    assert all(each.file_gone_at for each in images(node, 1))
    (event,) = node.events("instance.file_removed")
    assert (event.study_uid, event.detail["files"], event.detail["because"]) == (study_uid(1), 2, "age")
    assert event.detail["size_bytes"] > 10_000
    assert [each.detail["files"] for each in node.events("result.file_removed")] == [4]
    assert node.apply_retention() == 0


def test_nothing_unfinished_goes(node: NodeHarness) -> None:
    """A study that receives, waits, or whose results are not delivered keeps its files for any time."""
    receive(node, 1)
    node.work()  # its results are not delivered
    receive(node, 2)
    with node.database.transaction() as session:
        studies.mark_ready(session, study_uid(2), now=node.now)
    receive(node, 3)
    node.now += 1000 * DAY

    assert node.apply_retention(once_committed=True) == 0
    assert node.studies_on_disk() == {study_uid(number) for number in (1, 2, 3)}


def test_a_parked_delivery(node: NodeHarness) -> None:
    """A result that no PACS took keeps the images from going early, but not for ever."""
    receive(node, 1)
    node.work()
    with node.database.transaction() as session:
        while due := deliveries.due(session, now=node.now + DAY):
            delivery_transitions.park(session, due[0], error="refused", status=0xC000, now=node.now)
    assert node.apply_retention(once_committed=True) == 0
    node.now += 31 * DAY

    assert node.apply_retention(once_committed=True) > 0


@pytest.mark.parametrize(("word", "final"), [("COMMITTED", True), ("SENT", False), ("UNHEARD_OF", False)])
def test_words_of_storage_commitment(node: NodeHarness, word: str, final: bool) -> None:
    """What was committed is taken; what was only sent, or is in a state not known here, is unfinished."""
    finish(node, 1)
    with node.database.transaction() as session:
        session.execute(text("PRAGMA ignore_check_constraints=ON"))
        for (name,) in session.execute(text("SELECT name FROM sqlite_master WHERE type='trigger'")).all():
            if "deliver" in name:
                session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text(f"UPDATE deliveries SET state = '{word}'"))  # noqa: S608

    assert node.apply_retention(once_committed=True) == (1 if final else 0)
    node.now += 31 * DAY
    assert node.apply_retention() == (2 if final else 0)


def test_once_committed(node: NodeHarness) -> None:
    """With it images go as soon as all is taken; results, which a later revision refers to, stay."""
    finish(node, 1)

    assert node.apply_retention(once_committed=True) == 1
    assert node.studies_on_disk() == set()
    assert node.studies_on_disk("results") == {study_uid(1)}


def test_a_low_disk_takes_the_oldest_until_there_is_room(node: NodeHarness) -> None:
    """Finished studies go before their time, the oldest first, and no more of them than needed."""
    for number in (1, 2, 3):
        finish(node, number)
    settings = node.runtime.settings.model_copy(
        update={"disk": DiskSettings(soft_free_mb=100, hard_free_mb=10)}
    )
    node.runtime = replace(node.runtime, settings=settings)
    node.files.free = 90 * 2**20
    real, removals = node.files.remove, []

    def remove(paths: list[str]) -> int:
        removals.append(paths)
        node.files.free += 10 * 2**20
        return real(paths)

    node.files.remove = remove  # type: ignore[assignment,method-assign]  # removing one study makes 10 MB free

    assert node.apply_retention() == 2
    assert node.studies_on_disk() == {study_uid(3)}


def test_a_large_study_goes_in_batches(node: NodeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """More files than one transaction removes: all go, and the rows count them all."""
    monkeypatch.setattr("dicom_node.storage.retention.BATCH", 3)
    finish(node, 1, images=7)
    node.now += 31 * DAY
    node.apply_retention()

    assert node.studies_on_disk() == set()
    assert [each.detail["files"] for each in node.events("instance.file_removed")] == [3, 3, 1]


def test_conflicts_go_with_age(node: NodeHarness) -> None:
    """What was kept aside goes after its days."""
    finish(node, 1)
    assert receive(node, 1, ImageComments="other bytes") == "instance.conflict"
    assert node.apply_retention() == 0
    node.now = datetime.now(UTC) + 31 * DAY  # what counts is the age of the file
    node.apply_retention()

    assert list((node.data_dir / "conflicts").glob("*/*")) == []
    assert [each.detail["files"] for each in node.events("conflict.file_removed")] == [1]


@pytest.mark.parametrize(
    "moment",
    [
        "store.rows.retention_candidates:mark_gone:after",  # written, not committed
        "store.files.file_store:FileStore.remove",  # committed, nothing removed
        "store.files.file_store:FileStore.remove:after",  # removed, not recorded
    ],
)
def test_killed_between_file_and_row(node: NodeHarness, moment: str) -> None:
    """After kill -9 the receiver's start brings nothing back, and the next sweep ends what was begun."""
    finish(node, 1)
    command = [sys.executable, "-c", DIES, str(node.data_dir), moment]
    path = {"PYTHONPATH": SEARCH_PATH}
    assert subprocess.run(command, env=path, check=False, timeout=60).returncode == -signal.SIGKILL
    assert bool(node.studies_on_disk()) is (not moment.endswith("remove:after"))

    assert node.adopt_orphans() == 0
    node.now += 31 * DAY
    node.apply_retention()
    assert node.events("instance.adopted") == []
    assert [each.detail["files"] for each in node.events("instance.file_removed")] == [1]
    assert all(each.file_gone_at for each in images(node, 1))


def test_the_same_image_comes_again(node: NodeHarness) -> None:
    """It is kept again as a duplicate without new work, for its days anew; other bytes are a conflict."""
    finish(node, 1)
    node.now += 31 * DAY
    node.apply_retention()
    with node.database.transaction() as session, pytest.raises(FilesGone, match="send its images again"):
        studies.replay(session, study_uid(1), now=node.now)
    assert receive(node, 1, ImageComments="other bytes") == "instance.conflict"
    assert node.studies_on_disk() == set()

    assert receive(node, 1) == "instance.duplicate"
    assert node.studies_on_disk() == {study_uid(1)}
    node.now -= 31 * DAY
    assert node.apply_retention() == 0
    assert images(node, 1)[0].file_gone_at is None
    with node.database.transaction() as session:
        assert studies.get(session, study_uid(1)).revision == 1
        studies.replay(session, study_uid(1), now=node.now)
    node.work()
    assert len(node.events("job.done")) == 2


def test_returned_but_killed_before_its_row_knew(node: NodeHarness) -> None:
    """A file that came again and whose row still says that it is gone is adopted at the next start."""
    finish(node, 1)
    (row,) = images(node, 1)
    kept = node.files.absolute(row.path).read_bytes()
    node.now += 31 * DAY
    node.apply_retention()
    path = node.files.absolute(row.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(kept)
    node.adopt_orphans()

    assert images(node, 1)[0].file_gone_at is None
    assert path.read_bytes() == kept


def test_a_late_image_of_a_study_whose_files_are_gone(node: NodeHarness) -> None:
    """It makes a revision of its own; the earlier images keep their outcome and are not called unreadable."""
    finish(node, 1)
    node.now += 31 * DAY
    node.apply_retention()
    receive(node, 1, 2)
    node.work()

    assert [each.state for each in images(node, 1)] == [InstanceState.MEASURED] * 2
    assert [each.reason for each in images(node, 1)] == [None, None]
    with node.database.read() as session:
        assert studies.get(session, study_uid(1)).state is StudyState.DONE


def test_a_predecessor_whose_file_is_gone(node: NodeHarness) -> None:
    """An image sent again and replayed gets its report, which names no predecessor it cannot read."""
    finish(node, 1)
    node.now += 31 * DAY
    node.apply_retention()
    receive(node, 1)
    with node.database.transaction() as session:
        studies.replay(session, study_uid(1), now=node.now)
    node.work()

    assert node.studies_on_disk("results") == {study_uid(1)}
    assert node.events("job.dead") == node.events("job.retry") == []


def test_replay_of_the_unfinished_says_so_first(node: NodeHarness) -> None:
    """A study that is still received is not refused for want of files."""
    receive(node, 1)
    with node.database.transaction() as session, pytest.raises(IllegalTransition, match="RECEIVING"):
        studies.replay(session, study_uid(1), now=node.now)
