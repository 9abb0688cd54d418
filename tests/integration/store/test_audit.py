"""The audit log: append-only and chained, so that every change is found."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from store.audit import audit_log
from store.audit.verification import verify
from store.db.database import Database

WRITER = """
import sys
from datetime import UTC, datetime
from store.audit import audit_log
from store.db.database import Database
database = Database(sys.argv[1])
for number in range(40):
    with database.transaction() as session:
        audit_log.record(session, "node.started", at=datetime.now(UTC), detail={"n": number})
database.close()
"""
ROOT = Path(__file__).parents[3]
COLUMNS = [
    "id",
    "at",
    "event",
    "outcome",
    "peer_ae",
    "peer_ip",
    "study_uid",
    "sop_instance_uid",
    "detail",
    "prev_hash",
    "hash",
]


@pytest.fixture
def logged(database: Database, now: datetime) -> Database:
    """Return a database with five events, a second apart."""
    for second in range(5):
        with database.transaction() as session:
            audit_log.record(
                session,
                "association.opened" if second % 2 else "association.rejected",
                "success" if second % 2 else "refused",
                at=now + timedelta(seconds=second),
                peer_ae="VIVID",
                peer_ip="192.0.2.10",
                study_uid=f"1.{second % 2}",
                detail={"second": second},
            )
    return database


@contextmanager
def _admin(tmp_path: Path, *, disarm: bool = True) -> Iterator[sqlite3.Connection]:
    """Open the file as an admin who may drop the triggers would."""
    with closing(sqlite3.connect(tmp_path / "echonode.db")) as connection:
        if disarm:
            for verb in ("update", "delete", "replace"):
                connection.execute(f"DROP TRIGGER audit_events_no_{verb}")
        yield connection
        connection.commit()


def _wrong(database: Database) -> list[int]:
    with database.read() as session:
        return [flaw.row for flaw in verify(session) if flaw.kind != "trigger"]


@pytest.mark.usefixtures("logged")
def test_the_table_is_what_admins_were_promised(tmp_path: Path) -> None:
    """Column names, ISO 8601 UTC times and JSON details can be read with plain sqlite3."""
    with _admin(tmp_path, disarm=False) as connection:
        cursor = connection.execute("SELECT * FROM audit_events WHERE id = 2")
        row = cursor.fetchone()

    assert [column[0] for column in cursor.description] == COLUMNS
    assert row[:5] == (2, "2026-11-22T20:00:01.000000Z", "association.opened", "success", "VIVID")
    assert json.loads(row[8]) == {"second": 1}


def test_untouched_is_sound(logged: Database) -> None:
    """An untouched audit log has no wrong rows."""
    assert _wrong(logged) == []


def test_empty_is_sound(database: Database) -> None:
    """A new database has a sound audit log."""
    assert _wrong(database) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET event = 'x' WHERE id = 3",
        "DELETE FROM audit_events WHERE id = 3",
        "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE id = 3",
    ],
    ids=["update", "delete", "replace"],
)
def test_append_only(logged: Database, statement: str) -> None:
    """The database refuses to change, remove or replace an event."""
    with pytest.raises(IntegrityError, match="append-only"), logged.transaction() as session:
        session.execute(text(statement))

    assert _wrong(logged) == []


def test_the_same_moment_in_another_spelling_shows(logged: Database, tmp_path: Path) -> None:
    """Even a change that means nothing is a change."""
    with _admin(tmp_path) as connection:
        connection.execute("UPDATE audit_events SET at = replace(at, 'Z', '+00:00') WHERE id = 3")

    assert _wrong(logged) == [3]


def test_odd_types_show(logged: Database, tmp_path: Path) -> None:
    """A blob where text was does not stop the verification."""
    with _admin(tmp_path) as connection:
        connection.execute("UPDATE audit_events SET detail = x'FF00', at = 7 WHERE id = 3")

    assert _wrong(logged) == [3]


def test_processes_share_one_chain(database: Database, url: str) -> None:
    """Several processes that write at once make one sound chain without gaps."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url], cwd=ROOT) for _ in range(3)]

    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert _wrong(database) == []
    with database.read() as session:
        assert list(range(1, 121)) == [event.id for event in audit_log.events(session)]


def test_a_rolled_back_event_leaves_no_gap(logged: Database, now: datetime) -> None:
    """An event is as durable as its transaction, and its number is used again."""
    with logged.transaction() as session:
        audit_log.record(session, "node.stopped", at=now)
        session.rollback()
    with logged.transaction() as session:
        audit_log.record(session, "node.stopped", at=now)

    assert _wrong(logged) == []


@pytest.mark.parametrize(
    ("filters", "seconds"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"study_uid": "1.1"}, [1, 3]),
        ({"event": "association.rejected"}, [0, 2, 4]),
        ({"outcome": "refused", "limit": 2}, [2, 4]),
        ({"limit": 3}, [2, 3, 4]),
        ({"limit": 0}, []),
        ({"study_uid": "1.1", "outcome": "refused"}, []),
    ],
)
def test_filters(logged: Database, filters: dict[str, Any], seconds: list[int]) -> None:
    """Filters combine; the order is oldest first and a limit keeps the newest."""
    with logged.read() as session:
        found = audit_log.events(session, **filters)

    assert seconds == [event.detail["second"] for event in found]


def test_since(logged: Database, now: datetime) -> None:
    """`since` includes its own moment, in any time zone."""
    with logged.read() as session:
        found = audit_log.events(session, since=now.astimezone() + timedelta(seconds=3))

    assert [now + timedelta(seconds=3), now + timedelta(seconds=4)] == [event.at for event in found]


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "a\0b", "\udcff\ud800", "'; DROP TABLE audit_events; --", "Ж"]
)
def test_hostile_text(database: Database, now: datetime, text: str) -> None:
    """Whatever a peer calls itself is kept, bounded, and the chain stays sound."""
    with database.transaction() as session:
        audit_log.record(
            session, "instance.refused", "refused", at=now, peer_ae=text, study_uid=text, detail={"uid": text}
        )
    with database.read() as session:
        (event,) = audit_log.events(session)

    assert _wrong(database) == []
    assert 0 < len(event.peer_ae or "") <= audit_log.MAX_TEXT


def test_detail_must_be_json(database: Database, now: datetime) -> None:
    """A number that JSON does not know is a programming error, not a row nobody can read."""
    with pytest.raises(ValueError, match="JSON"), database.transaction() as session:
        audit_log.record(session, "node.started", at=now, detail={"ef": float("nan")})
