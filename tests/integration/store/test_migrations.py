"""Databases of every earlier version, with rows in them, brought to this one."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import alembic.command
import pytest
from alembic.script import ScriptDirectory
from support.databases import migrate, template
from support.raw_rows import without_triggers

from store.audit import audit_log
from store.audit.verification import verify
from store.db.database import Database
from store.db.upgrade import alembic_config
from store.errors import StoreError

AT = "2026-11-22T20:20:00.000000Z"
STUDIES = {"1.2": "DONE", "1.3": "RECEIVING", "1.4": "FAILED", "1.5": "PROCESSING"}
JOBS = {"1.2": "DONE", "1.4": "DEAD", "1.5": "RUNNING"}
KINDS = ("tid5200", "overlay")
FORMER_KINDS = {"0001": {"tid5200": "sr"}}
DELIVERIES = ("DELIVERED", "PENDING", "DEAD")
REVISIONS = sorted(each.revision for each in ScriptDirectory.from_config(alembic_config()).walk_revisions())


def made_by(revision: str, path: Path) -> None:
    """Make the database that a version with this schema left behind, with a row of every state in it."""
    migrate(path, revision)
    with closing(sqlite3.connect(path)) as connection, connection, without_triggers(connection.execute):
        for table, rows in rows_of(revision).items():
            for row in rows:
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608


def rows_of(revision: str) -> dict[str, list[dict[str, object]]]:
    """Return rows as that version wrote them, by table."""
    renamed = FORMER_KINDS.get(revision, {})
    studies = [
        {"study_uid": uid, "state": state, "revision": 1, "first_received_at": AT, "last_received_at": AT}
        for uid, state in STUDIES.items()
    ]
    instances = [
        {
            "sop_instance_uid": f"{uid}.1",
            "sop_class_uid": "1.2",
            "study_uid": uid,
            "series_uid": "1.9",
            "transfer_syntax_uid": "1.2",
            "path": f"instances/{uid}/{uid}.1.dcm",
            "sha256": "a" * 64,
            "size_bytes": 1000,
            "peer_ae": "VIVID",
            "peer_ip": "192.0.2.1",
            "state": "RECEIVED",
            "detail": '{"a":1}',
            "received_at": AT,
        }
        for uid in STUDIES
    ]
    jobs = [
        {
            "study_uid": uid,
            "revision": 1,
            "state": state,
            "attempts": 1,
            "not_before": AT,
            "error": None,
            "created_at": AT,
        }
        for uid, state in JOBS.items()
    ]
    results = [
        {
            "id": number,
            "kind": renamed.get(kind, kind),
            "study_uid": "1.2",
            "revision": 1,
            "source_sop_instance_uid": "1.2.1",
            "sop_instance_uid": f"1.2.9.{number}",
            "sop_class_uid": "1.2",
            "path": f"results/1.2/{number}.dcm",
            "sha256": "b",
            "created_at": AT,
        }
        for number, kind in enumerate(KINDS, start=1)
    ]
    deliveries = [
        {
            "result_id": result,
            "destination": f"pacs {state}",
            "state": state,
            "attempts": 1,
            "next_attempt_at": AT,
            "last_status": None,
            "error": None,
            **({"waiting_since": AT, "asks": 0} if revision >= "0003" else {}),
        }
        for result in (1, 2)
        for state in DELIVERIES
    ]
    return {
        "studies": studies,
        "instances": instances,
        "jobs": jobs,
        "results": results,
        "deliveries": deliveries,
        "audit_events": chain(),
    }


def chain() -> list[dict[str, object]]:
    """Return audit rows as the first version chained them."""
    rows, prev_hash = [], "0" * 64
    for number in (1, 2, 3):
        row = {
            "id": number,
            "at": AT,
            "event": "study.done",
            "outcome": "success",
            "peer_ae": None,
            "peer_ip": None,
            "study_uid": "1.2",
            "sop_instance_uid": None,
            "detail": '{"revision":1}',
        }
        text = json.dumps(row, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(f"{prev_hash}{text}".encode()).hexdigest()
        rows.append({**row, "prev_hash": prev_hash, "hash": digest})
        prev_hash = digest
    return rows


@pytest.fixture(params=REVISIONS)
def revision(request: pytest.FixtureRequest) -> str:
    """Return each schema there ever was, this one included."""
    return str(request.param)


@pytest.fixture
def upgraded(tmp_path: Path, revision: str) -> Path:
    """Return a database of an earlier version, upgraded as the node does it."""
    path = tmp_path / "echonode.db"
    path.write_bytes(upgraded_bytes(revision))
    return path


@cache
def upgraded_bytes(revision: str) -> bytes:
    """Return its file: an upgrade of each version serves all that look at the result."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "echonode.db")
        made_by(revision, path)
        upgrade(path)
        assert not path.with_name("echonode.db-wal").exists()
        return path.read_bytes()


def upgrade(path: Path) -> None:
    """Bring a database to this version."""
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()


def rows(path: Path, query: str) -> list[dict[str, object]]:
    """Return what a query finds."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def test_no_row_is_lost_or_changed(upgraded: Path) -> None:
    """Every row is there with what it said; what was an SR is the echo report it always was."""
    for table, expected in rows_of(REVISIONS[-1]).items():
        columns = ", ".join(expected[0])
        assert rows(upgraded, f"SELECT {columns} FROM {table} ORDER BY rowid") == expected  # noqa: S608 - our own names


def test_references_and_pages_are_sound(upgraded: Path) -> None:
    """No delivery points at nothing, and SQLite finds nothing wrong."""
    assert rows(upgraded, "PRAGMA foreign_key_check") == []
    assert rows(upgraded, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]


def test_there_and_back(tmp_path: Path) -> None:
    """Down to the former tables: what is committed was delivered, and no rule is left over."""
    path = tmp_path / "echonode.db"
    made_by(REVISIONS[-1], path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE deliveries SET state = 'SENT' WHERE state = 'PENDING'")

    migrate(path, "0002")

    states = rows(path, "SELECT state, count(*) AS number FROM deliveries GROUP BY state ORDER BY state")
    assert states == [{"state": "DEAD", "number": 2}, {"state": "DELIVERED", "number": 4}]
    assert rows(path, "SELECT name FROM sqlite_master WHERE name LIKE '%legal_move'") == []


def test_the_schema_is_that_of_a_new_database(upgraded: Path) -> None:
    """Tables, indexes, checks and triggers are the same, whichever way they came about."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"

    assert rows(upgraded, query) == rows(template(), query)


def test_the_audit_chain_verifies_and_goes_on(upgraded: Path) -> None:
    """The rows of the former version are a sound chain to which this one appends."""
    database = Database(f"sqlite:///{upgraded}")
    with database.transaction() as session:
        audit_log.record(session, "node.started", at=audit_log.events(session)[-1].at)
    with database.read() as session:
        assert verify(session) == []
        assert len(audit_log.events(session)) == 4
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_events",
        "UPDATE audit_events SET event = 'x'",
        "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE id = 1",
        "UPDATE studies SET state = 'NONSENSE'",
        "UPDATE results SET kind = 'sr'",
        "DELETE FROM results",
    ],
)
def test_the_rules_are_alive(upgraded: Path, statement: str) -> None:
    """Triggers, checks and foreign keys refuse what they refuse in a new database."""
    with closing(sqlite3.connect(upgraded)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)


def test_a_failed_upgrade_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade that breaks off half way leaves the former version, to be tried again."""
    path = tmp_path / "echonode.db"
    made_by(REVISIONS[0], path)
    before = rows(path, "SELECT sql FROM sqlite_master ORDER BY name")
    real: Callable[..., None] = alembic.command.upgrade

    def broken(*arguments: object) -> None:
        real(*arguments)
        raise StoreError("broke off")

    monkeypatch.setattr(alembic.command, "upgrade", broken)
    with pytest.raises(StoreError, match="broke off"):
        upgrade(path)
    assert rows(path, "SELECT sql FROM sqlite_master ORDER BY name") == before

    monkeypatch.undo()
    upgrade(path)
    assert len(rows(path, "SELECT * FROM deliveries")) == 6
