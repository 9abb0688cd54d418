"""Old rows move into sealed files, and nothing of the audit log is lost, unread or unverified on the way."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from store.audit import audit_log, segments
from store.audit.chain import Flaw
from store.audit.sealing import UnsoundRows, seal
from store.audit.segments import SegmentUnreadable
from store.audit.verification import Checkpoint, verify
from store.db.database import Database
from store.errors import StoreUnavailable

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
DIE = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from store.audit import audit_log, sealing, segments
from store.db.database import Database

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[3]
if moment == "file written":
    sealing._replace_by_file = die
elif moment == "half a file":
    os.fsync = die
elif moment == "row written":
    audit_log.record = die
now = datetime.fromisoformat(sys.argv[4])
sealing.seal(Database(sys.argv[1]), Path(sys.argv[2]), before=now, now=now, max_rows=4)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the segment files."""
    return tmp_path / "audit"


@pytest.fixture
def logged(database: Database) -> Database:
    """Return ten events, a day apart, the newest of today."""
    for day in range(10):
        at = NOW - timedelta(days=9 - day)
        with database.transaction() as session:
            audit_log.record(session, "node.started", at=at, study_uid=f"1.{day % 3}", detail={"day": day})
    return database


@pytest.fixture
def sealed(logged: Database, folder: Path) -> Database:
    """Return the same log with rows 1 to 4 in one file and 5 to 7 in another."""
    assert seal_older(logged, folder, days=2.5, max_rows=4) == 4
    assert seal_older(logged, folder, days=2.5, max_rows=4) == 3
    assert seal_older(logged, folder, days=2.5, max_rows=4) == 0
    return logged


def seal_older(logged: Database, folder: Path, *, days: float, max_rows: int = 100) -> int:
    """Seal rows older than some days."""
    return seal(logged, folder, before=NOW - timedelta(days=days), now=NOW, max_rows=max_rows)


def flaws(database: Database, folder: Path, **how: list[Checkpoint]) -> list[Flaw]:
    """Return what is wrong, files included."""
    with database.read() as session:
        return verify(session, sealed=folder, **how)


def days(database: Database, folder: Path | None, **filters: object) -> list[int]:
    """Return the days of the events that are found."""
    with database.read() as session:
        found = audit_log.events(session, sealed=folder, event="node.started", **filters)  # type: ignore[arg-type]
    return [event.detail["day"] for event in found]


@pytest.fixture
def admin(sealed: Database, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Open the sealed database as someone with all rights on the file."""
    assert sealed
    with closing(sqlite3.connect(tmp_path / "echonode.db", isolation_level=None)) as connection:
        yield connection


def test_sealed_rows_leave_the_database(sealed: Database, folder: Path) -> None:
    """Each file is named after its rows, its sealing is on record, and the rows are gone."""
    with sealed.read() as session:
        rows = [event.id for event in audit_log.events(session)]
        records = audit_log.events(session, event="audit.sealed")
        told = segments.all_segments(session)

    assert sorted(path.name for path in folder.iterdir()) == ["segment-1-4.jsonl.gz", "segment-5-7.jsonl.gz"]
    assert rows == [8, 9, 10, 11, 12]
    assert [record.detail["last_id"] for record in records] == [4, 7]
    assert [segment.sha256 for segment in told] == [
        segments.sha256_of(folder / each.file_name) for each in told
    ]
    assert flaws(sealed, folder) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"study_uid": "1.1"}, [1, 4, 7]),
        ({"since": NOW - timedelta(days=5)}, [4, 5, 6, 7, 8, 9]),
        ({"limit": 5}, [5, 6, 7, 8, 9]),
        ({"limit": 2}, [8, 9]),
        ({"study_uid": "1.0", "limit": 3}, [3, 6, 9]),
        ({"outcome": "failure"}, []),
    ],
)
def test_sealed_rows_are_still_found(
    sealed: Database, folder: Path, filters: dict[str, object], expected: list[int]
) -> None:
    """Filters see rows in files and in the database as one log, oldest first."""
    assert days(sealed, folder, **filters) == expected


def test_the_database_lets_only_sealed_rows_go(sealed: Database) -> None:
    """Rows that are in no segment cannot be deleted, sealed ids cannot be used again."""
    for statement in (
        "DELETE FROM audit_events WHERE id = 9",
        "DELETE FROM audit_segments",
        "UPDATE audit_segments SET last_id = 12",
        "INSERT OR REPLACE INTO audit_segments SELECT 1, 8, 9, prev_hash, hash, '', '', 2 FROM audit_events",
        "INSERT INTO audit_segments VALUES (3, 8, 9, 'x', 'y', '', '', 2)",
        "INSERT INTO audit_events SELECT 3, at, event, outcome, '', '', '', '', '', '', '' FROM audit_events",
    ):
        with pytest.raises(IntegrityError, match="append-only"), sealed.transaction() as session:
            session.execute(text(statement))


@pytest.mark.parametrize("moment", ["half a file", "file written", "row written"])
def test_killed_while_sealing(logged: Database, folder: Path, url: str, moment: str) -> None:
    """Kill -9 at any moment: no row is lost or doubled, and the next round seals the same rows."""
    command = [sys.executable, "-c", DIE, url, str(folder), moment, (NOW - timedelta(days=2)).isoformat()]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL

    assert days(logged, folder) == list(range(10))
    assert flaws(logged, folder) == []
    # Less is old enough now: what was begun is finished all the same.
    assert seal_older(logged, folder, days=8.5) == (1 if moment == "half a file" else 4)
    assert days(logged, folder) == list(range(10))
    assert flaws(logged, folder) == []


def test_the_same_rows_make_the_same_file(logged: Database, folder: Path, tmp_path: Path) -> None:
    """No name and no time is in the packed file, so a repeated round writes equal bytes."""
    with logged.read() as session:
        rows = list(audit_log.stored_rows(session))
    segments.write(folder / "one.gz", rows)
    os.utime(folder / "one.gz", (0, 0))
    segments.write(tmp_path / "other" / "two.gz", rows)

    assert (folder / "one.gz").read_bytes() == (tmp_path / "other" / "two.gz").read_bytes()
    assert list(segments.read(folder / "one.gz")) == rows


def test_the_newest_row_stays(logged: Database, folder: Path) -> None:
    """However old all rows are, the chain keeps its end in the database."""
    assert seal(logged, folder, before=NOW + timedelta(days=99), now=NOW) == 9
    with logged.transaction() as session:
        audit_log.record(session, "node.stopped", at=NOW)

    assert flaws(logged, folder) == []


def test_rows_that_no_other_machine_has_stay(logged: Database, folder: Path) -> None:
    """With syslog on, only rows that were sent are sealed."""
    assert seal(logged, folder, before=NOW, now=NOW, exported_id=3) == 3
    assert seal(logged, folder, before=NOW, now=NOW, exported_id=3) == 0


def test_an_unsound_row_is_not_sealed(logged: Database, folder: Path, tmp_path: Path) -> None:
    """Evidence of tampering stays where it is."""
    with closing(sqlite3.connect(tmp_path / "echonode.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER audit_events_no_update")
        connection.execute("UPDATE audit_events SET peer_ae = 'X' WHERE id = 2")

    with pytest.raises(UnsoundRows, match="row 2 was edited"):
        seal_older(logged, folder, days=2)
    assert not folder.exists()


def test_a_disk_that_is_full_or_gone_loses_nothing(logged: Database, tmp_path: Path) -> None:
    """When the file cannot be written, the rows stay."""
    (tmp_path / "occupied").write_text("a file where the folder should be")

    with pytest.raises(StoreUnavailable):
        seal_older(logged, tmp_path / "occupied" / "audit", days=2)
    assert days(logged, None) == list(range(10))


def test_a_missing_file_is_named(sealed: Database, folder: Path) -> None:
    """A segment file that is gone is a flaw, and reading its rows an error, not an empty answer."""
    (folder / "segment-5-7.jsonl.gz").unlink()

    (flaw,) = flaws(sealed, folder)
    assert flaw.kind == "segment"
    assert "segment-5-7.jsonl.gz is missing: rows 5 to 7 cannot be checked" in flaw.sentence
    with pytest.raises(SegmentUnreadable, match=r"segment-5-7\.jsonl\.gz is missing"):
        days(sealed, folder)


def test_a_damaged_file_is_named(sealed: Database, folder: Path) -> None:
    """So is one that cannot be unpacked."""
    path = folder / "segment-1-4.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])

    assert {flaw.kind for flaw in flaws(sealed, folder)} == {"segment"}
    assert all("segment-1-4" in flaw.sentence for flaw in flaws(sealed, folder))


def test_a_row_edited_in_a_file_is_named(sealed: Database, folder: Path) -> None:
    """The sum says that the file was changed, the chain says which row."""
    path = folder / "segment-1-4.jsonl.gz"
    rows = [{**row, "study_uid": "9.9"} if row["id"] == 3 else row for row in segments.read(path)]
    segments.write(path, rows)

    assert [(flaw.kind, flaw.row) for flaw in flaws(sealed, folder)] == [("segment", 1), ("edited", 3)]


@pytest.mark.usefixtures("sealed")
def test_a_row_put_back_where_it_was_sealed_is_named(
    admin: sqlite3.Connection, sealed: Database, folder: Path
) -> None:
    """Rows in the database with ids that were sealed are flaws."""
    admin.execute("DROP TRIGGER audit_events_no_replace")
    admin.execute("CREATE TEMP TABLE one AS SELECT * FROM audit_events WHERE id = 9")
    admin.execute("UPDATE one SET id = 3")
    admin.execute("INSERT INTO audit_events SELECT * FROM one")

    assert ("inserted", 3) in [(flaw.kind, flaw.row) for flaw in flaws(sealed, folder)]


def test_a_forgotten_segment_is_named(admin: sqlite3.Connection, sealed: Database, folder: Path) -> None:
    """Who deletes the row of a segment leaves a gap in the chain."""
    admin.execute("DROP TRIGGER audit_segments_no_delete")
    admin.execute("DELETE FROM audit_segments WHERE first_id = 1")

    found = [(flaw.kind, flaw.row) for flaw in flaws(sealed, folder)]
    assert ("segment", 5) in found


def test_checkpoints_reach_into_segments(sealed: Database, folder: Path) -> None:
    """A checkpoint of a row that was sealed since is compared all the same."""
    rows = list(segments.read(folder / "segment-1-4.jsonl.gz"))
    good = Checkpoint(at=NOW, id=2, hash=rows[1]["hash"])
    bad = Checkpoint(at=NOW, id=3, hash="0" * 64)

    assert flaws(sealed, folder, checkpoints=[good]) == []
    assert [flaw.row for flaw in flaws(sealed, folder, checkpoints=[good, bad])] == [3]
