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
from house import DAY, House, study_uid
from sqlalchemy import text

from dicom_node.settings import DiskSettings, RetentionSettings, Settings
from dicom_node.storage.retention import removal_reason
from store.db.states import InstanceState, StudyState
from store.errors import FilesGone, IllegalTransition
from store.rows import deliveries, delivery_transitions, studies
from store.rows.retention_candidates import RetentionCandidate

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TESTS = Path(__file__).parents[1]
DIES = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import role
from dicom_node.retention import Keeper, tidy
from dicom_node.settings import Settings
from store.database import Database
from store.files import FileStore
folder = Path(sys.argv[1])
role.arm("store.rows.retention_candidates:mark_gone" + sys.argv[2], folder / ("died" + sys.argv[2]))
settings = Settings(node={"data_dir": folder})
clock = lambda: datetime.now(UTC) + timedelta(days=31)
tidy(Keeper(settings=settings, database=Database(settings.store_url), files=FileStore(folder), clock=clock))
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return an empty node."""
    made = House(tmp_path)
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
    ("holding", "policy", "disk_low", "why"),
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


def test_old_files_go_and_rows_stay(house: House) -> None:
    """After their days received files and results are gone; rows, their outcome and one audit row say so."""
    house.finish(1, images=2)
    house.later = 29 * DAY
    assert house.tidy() == 0
    house.later = 31 * DAY

    assert house.tidy() == 2 + 4
    assert house.there() == house.there("results") == set()
    assert {each.state for each in house.images(1)} == {InstanceState.MEASURED}
    assert all(each.file_gone_at for each in house.images(1))
    (event,) = house.events("instance.file_removed")
    assert (event.study_uid, event.detail["files"], event.detail["because"]) == (study_uid(1), 2, "age")
    assert event.detail["size_bytes"] > 10_000
    assert [each.detail["files"] for each in house.events("result.file_removed")] == [4]
    assert house.tidy() == 0


def test_nothing_unfinished_goes(house: House) -> None:
    """A study that receives, waits, or whose results are not delivered keeps its files for any time."""
    house.receive(1)
    house.work()  # its results are not delivered
    house.receive(2)
    with house.database.transaction() as session:
        studies.mark_ready(session, study_uid(2), now=house.now())
    house.receive(3)
    house.later = 1000 * DAY

    assert house.tidy(once_committed=True) == 0
    assert house.there() == {study_uid(number) for number in (1, 2, 3)}


def test_a_parked_delivery(house: House) -> None:
    """A result that no PACS took keeps the images from going early, but not for ever."""
    house.receive(1)
    house.work()
    with house.database.transaction() as session:
        while due := deliveries.due(session, now=house.now() + DAY):
            delivery_transitions.park(session, due[0], error="refused", status=0xC000, now=house.now())
    assert house.tidy(once_committed=True) == 0
    house.later = 31 * DAY

    assert house.tidy(once_committed=True) > 0


@pytest.mark.parametrize(("word", "final"), [("COMMITTED", True), ("SENT", False), ("UNHEARD_OF", False)])
def test_words_of_storage_commitment(house: House, word: str, final: bool) -> None:
    """What was committed is taken; what was only sent, or is in a state not known here, is unfinished."""
    house.finish(1)
    with house.database.transaction() as session:
        session.execute(text("PRAGMA ignore_check_constraints=ON"))
        for (name,) in session.execute(text("SELECT name FROM sqlite_master WHERE type='trigger'")).all():
            if "deliver" in name:
                session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(text(f"UPDATE deliveries SET state = '{word}'"))  # noqa: S608

    assert house.tidy(once_committed=True) == (1 if final else 0)
    house.later = 31 * DAY
    assert house.tidy() == (2 if final else 0)


def test_once_committed(house: House) -> None:
    """With it images go as soon as all is taken; results, which a later revision refers to, stay."""
    house.finish(1)

    assert house.tidy(once_committed=True) == 1
    assert house.there() == set()
    assert house.there("results") == {study_uid(1)}


def test_a_low_disk_takes_the_oldest_until_there_is_room(house: House) -> None:
    """Finished studies go before their time, the oldest first, and no more of them than needed."""
    for number in (1, 2, 3):
        house.finish(number)
    house.settings = Settings(disk=DiskSettings(soft_free_mb=100, hard_free_mb=10))
    house.files.room = 90 * 2**20
    real, removals = house.files.remove, []

    def remove(paths: list[str]) -> int:
        removals.append(paths)
        house.files.room += 10 * 2**20
        return real(paths)

    house.files.remove = remove  # type: ignore[assignment,method-assign]  # removing one study makes 10 MB free

    assert house.tidy() == 2
    assert house.there() == {study_uid(3)}


def test_a_large_study_goes_in_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """More files than one transaction removes: all go, and the rows count them all."""
    monkeypatch.setattr("dicom_node.storage.retention.BATCH", 3)
    house.finish(1, images=7)
    house.later = 31 * DAY
    house.tidy()

    assert house.there() == set()
    assert [each.detail["files"] for each in house.events("instance.file_removed")] == [3, 3, 1]


def test_conflicts_go_with_age(house: House) -> None:
    """What was kept aside goes after its days."""
    house.finish(1)
    assert house.receive(1, ImageComments="other bytes") == "instance.conflict"
    assert house.tidy() == 0
    house.later = 31 * DAY
    house.tidy()

    assert list((house.folder / "conflicts").iterdir()) == []
    assert [each.detail["files"] for each in house.events("conflict.file_removed")] == [1]


@pytest.mark.parametrize("moment", ["", ":after"])
def test_killed_between_file_and_row(house: House, moment: str) -> None:
    """After kill -9 the receiver's start brings nothing back, and the next sweep ends what was begun."""
    house.finish(1)
    command = [sys.executable, "-c", DIES, str(house.folder), moment]
    path = {"PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    assert subprocess.run(command, env=path, check=False, timeout=60).returncode == -signal.SIGKILL
    assert house.there() == set()

    assert house.ingest.adopt_orphans() == 0
    house.later = 31 * DAY
    house.tidy()
    assert house.events("instance.adopted") == []
    assert [each.detail["files"] for each in house.events("instance.file_removed")] == [1]
    assert all(each.file_gone_at for each in house.images(1))


def test_the_same_image_comes_again(house: House) -> None:
    """It is kept again as a duplicate without new work, for its days anew; other bytes are a conflict."""
    house.finish(1)
    house.later = 31 * DAY
    house.tidy()
    with house.database.transaction() as session, pytest.raises(FilesGone, match="send its images again"):
        studies.replay(session, study_uid(1), now=house.now())
    assert house.receive(1, ImageComments="other bytes") == "instance.conflict"
    assert house.there() == set()

    assert house.receive(1) == "instance.duplicate"
    assert house.there() == {study_uid(1)}
    house.later = timedelta()
    assert house.tidy() == 0
    assert house.images(1)[0].file_gone_at is None
    with house.database.transaction() as session:
        assert studies.get(session, study_uid(1)).revision == 1
        studies.replay(session, study_uid(1), now=house.now())
    house.work()
    assert len(house.events("job.done")) == 2


def test_returned_but_killed_before_its_row_knew(house: House) -> None:
    """A file that came again and whose row still says that it is gone is adopted at the next start."""
    house.finish(1)
    (row,) = house.images(1)
    kept = house.files.absolute(row.path).read_bytes()
    house.later = 31 * DAY
    house.tidy()
    path = house.files.absolute(row.path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(kept)
    house.ingest.adopt_orphans()

    assert house.images(1)[0].file_gone_at is None
    assert path.read_bytes() == kept


def test_a_late_image_of_a_study_whose_files_are_gone(house: House) -> None:
    """It makes a revision of its own; the earlier images keep their outcome and are not called unreadable."""
    house.finish(1)
    house.later = 31 * DAY
    house.tidy()
    house.receive(1, 2)
    house.work()

    assert [each.state for each in house.images(1)] == [InstanceState.MEASURED] * 2
    assert [each.reason for each in house.images(1)] == [None, None]
    with house.database.read() as session:
        assert studies.get(session, study_uid(1)).state is StudyState.DONE


def test_a_predecessor_whose_file_is_gone(house: House) -> None:
    """An image sent again and replayed gets its report, which names no predecessor it cannot read."""
    house.finish(1)
    house.later = 31 * DAY
    house.tidy()
    house.receive(1)
    with house.database.transaction() as session:
        studies.replay(session, study_uid(1), now=house.now())
    house.work()

    assert house.there("results") == {study_uid(1)}
    assert house.events("job.dead") == house.events("job.retry") == []


def test_replay_of_the_unfinished_says_so_first(house: House) -> None:
    """A study that is still received is not refused for want of files."""
    house.receive(1)
    with house.database.transaction() as session, pytest.raises(IllegalTransition, match="RECEIVING"):
        studies.replay(session, study_uid(1), now=house.now())
