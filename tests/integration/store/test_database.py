"""The file, its upgrade, its locks, and what happens when it is not there."""

import fcntl
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, text
from sqlalchemy.exc import IntegrityError

from store.db.database import Database
from store.db.schema import REVISION, metadata
from store.db.upgrade import MIGRATIONS, is_current
from store.db.write_lock import NestedTransaction, is_held
from store.errors import NotFound, StoreError, StoreUnavailable
from store.rows import studies

UPGRADE = """
import sys
from store.db.database import Database
print("ready", flush=True)
sys.stdin.readline()
Database(sys.argv[1]).upgrade()
"""
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


def _python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _statements(path: Path) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'trigger'"
    with closing(sqlite3.connect(path)) as connection:
        found = {name: " ".join(sql.split()) for name, sql in connection.execute(query)}
    return {name: sql for name, sql in found.items() if name not in {"alembic_version", "sqlite_sequence"}}


def test_upgrade_creates_and_repeats(tmp_path: Path) -> None:
    """An upgrade makes folder, file and tables; a second one changes nothing."""
    nested = Database(f"sqlite:///{tmp_path}/a/b/echonode.db")
    for _ in range(2):
        nested.upgrade()
    nested.close()

    assert (tmp_path / "a/b/echonode.db").exists()


def test_upgrade_is_silent(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An upgrade writes nothing to the terminal and warns of nothing."""
    root_handlers = list(logging.getLogger().handlers)
    database = Database(url)
    database.upgrade()
    database.close()

    assert tuple(capfd.readouterr()) == ("", "")
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]
    assert root_handlers == logging.getLogger().handlers


@pytest.mark.usefixtures("database")
def test_migrations_make_the_schema(tmp_path: Path) -> None:
    """The migrations build exactly the tables, checks and indices that schema.py declares."""
    declared = tmp_path / "declared.db"
    engine = create_engine(f"sqlite:///{declared}")
    metadata.create_all(engine)
    engine.dispose()

    assert _statements(declared) == _statements(tmp_path / "echonode.db")


def test_no_column_for_a_patient() -> None:
    """No column is made for a patient's name, id or birth date."""
    names = {column.name for table in metadata.tables.values() for column in table.c}

    assert not [name for name in names if "patient" in name or "birth" in name]


def test_upgrade_by_several_processes(url: str) -> None:
    """Processes that start at the same moment all find the database upgraded."""
    processes = [_python(UPGRADE, url) for _ in range(3)]
    assert [_first_line(process) for process in processes] == ["ready"] * 3
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    output = [process.communicate(timeout=60) for process in processes]

    assert output == [("", "")] * 3
    assert [process.returncode for process in processes] == [0] * 3


def test_upgrade_is_all_or_nothing(url: str, tmp_path: Path) -> None:
    """An upgrade that fails half-way leaves no table behind."""
    path = tmp_path / "echonode.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE jobs (stranger INTEGER)")
    database = Database(url)
    with pytest.raises(StoreUnavailable, match="jobs already exists"):
        database.upgrade()
    database.close()

    assert {"jobs"} == set(_statements(path))


def test_tables_of_a_newer_version(database: Database) -> None:
    """An older program refuses tables it does not know."""
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="not made by this version"):
        database.upgrade()


def test_pragmas(database: Database) -> None:
    """Connections are durable, check foreign keys, and the file is in WAL mode."""
    with database.transaction() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10000}


def test_an_exception_rolls_back(database: Database) -> None:
    """What a failed transaction wrote is not there."""

    def write_and_fail() -> None:
        with database.transaction() as session:
            session.execute(text("INSERT INTO studies VALUES ('1.2', 'RECEIVING', 1, 'a', 'b')"))
            raise LookupError

    with pytest.raises(LookupError):
        write_and_fail()
    with database.read() as session, pytest.raises(NotFound):
        studies.get(session, "1.2")


def test_reading_cannot_write(database: Database) -> None:
    """A session of `read` refuses to write."""
    with pytest.raises(StoreUnavailable, match="readonly"), database.read() as session:
        session.execute(text("DELETE FROM studies"))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("studies", {"study_uid": "1.9", "state": "BORED", "revision": 1}),
        ("studies", {"study_uid": "1.9", "state": "RECEIVING", "revision": 0}),
        ("jobs", {"study_uid": "1.9", "state": "QUEUED", "revision": 1, "attempts": 0}),
        ("audit_events", {"event": "node.started", "outcome": "splendid", "detail": "{}"}),
    ],
    ids=["unknown state", "revision 0", "job without study", "unknown outcome"],
)
def test_constraints(database: Database, table: str, row: dict[str, object]) -> None:
    """The database itself refuses what must not be written, whoever writes it."""
    filler = {c.name: "x" for c in metadata.tables[table].c if not c.nullable and c.name != "id"}
    columns = {**filler, **row}
    names = ", ".join(columns)
    statement = f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in columns)})"  # noqa: S608 names of our own columns
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(text(statement), columns)


def test_naive_times_are_refused(database: Database, now: datetime) -> None:
    """A time without a zone never reaches the database."""
    naive = now.replace(tzinfo=None)
    row = {"study_uid": "1.2", "state": "RECEIVING", "revision": 1}
    row |= {"first_received_at": naive, "last_received_at": naive}
    with pytest.raises(Exception, match="no time zone"), database.transaction() as session:
        session.execute(insert(metadata.tables["studies"]), row)


@pytest.mark.usefixtures("database")
def test_a_lock_held_elsewhere(url: str, tmp_path: Path) -> None:
    """A writer waits for another process no longer than the timeout; readers do not wait at all."""
    impatient = Database(url, busy_timeout_s=0.2)
    holder = _python(HOLD, str(tmp_path / "echonode.db"))
    assert _first_line(holder) == "locked"
    with pytest.raises(StoreUnavailable, match="locked"), impatient.transaction() as session:
        session.execute(text("DELETE FROM studies"))
    with impatient.read() as session:
        assert studies.receiving(session) == []
    holder.communicate("release\n", timeout=30)
    with impatient.transaction() as session:
        session.execute(text("DELETE FROM studies"))
    impatient.close()


@pytest.mark.usefixtures("database")
def test_a_thread_waits_no_longer_than_the_timeout(url: str) -> None:
    """A second writer of the same process gets StoreUnavailable, too."""
    impatient = Database(url, busy_timeout_s=0.1)

    def write() -> None:
        with impatient.transaction() as second:
            second.execute(text("DELETE FROM studies"))

    with impatient.transaction() as first, ThreadPoolExecutor(1) as pool:
        first.execute(text("DELETE FROM studies"))
        with pytest.raises(StoreUnavailable):
            pool.submit(write).result()
    impatient.close()


def test_a_transaction_inside_another_is_found_at_once(database: Database) -> None:
    """It would wait for itself: the bug is named; reading inside a transaction is none."""
    with database.transaction(), database.read():
        assert is_held()
        with pytest.raises(NestedTransaction, match="inside another one"), database.transaction():
            pass
    assert not is_held()
    with database.transaction() as session:
        session.execute(text("DELETE FROM studies"))


def test_who_comes_while_another_migrates_waits(url: str, tmp_path: Path) -> None:
    """The migration of a large database takes longer than any timeout; who comes meanwhile waits for it."""
    database = Database(url, busy_timeout_s=0.1)
    with (tmp_path / "echonode.db-upgrade").open("w") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = pool.submit(database.upgrade)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        fcntl.flock(lock, fcntl.LOCK_UN)
        waiting.result(timeout=30)
    assert is_current(tmp_path / "echonode.db")
    database.close()


def test_the_newest_revision_is_known() -> None:
    """A database that has it is not migrated, so the program must know which it is."""
    assert max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).startswith(REVISION)


def test_an_upgraded_database_is_only_looked_at(database: Database) -> None:
    """No write lock is taken at the start of a process, however busy the others are."""
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        database.upgrade()


def test_a_large_database_is_checked_in_part(
    database: Database, receive: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start of a process only what is new is read; without a limit everything is."""
    receive(1)
    assert database.check(limit_s=10)
    monkeypatch.setattr("store.db.integrity.CHECKED_WHOLE_BYTES", 1000)

    assert not database.check(limit_s=10)
    assert database.check()


def test_file_gone_and_back(database: Database, receive: Callable[..., bool], tmp_path: Path) -> None:
    """While the file is away the store is unavailable; once it is back it works again by itself."""
    receive(1)
    path = tmp_path / "echonode.db"
    path.rename(tmp_path / "away.db")
    with pytest.raises(StoreUnavailable):
        receive(2)
    with pytest.raises(StoreUnavailable), database.read() as session:
        studies.receiving(session)
    assert not path.exists()
    (tmp_path / "away.db").rename(path)

    assert receive(2)


def test_not_upgraded(url: str, tmp_path: Path) -> None:
    """Without an upgrade nothing is created behind the admin's back."""
    database = Database(url)
    with pytest.raises(StoreUnavailable, match="unable to open"), database.read() as session:
        studies.receiving(session)
    database.close()

    assert list(tmp_path.iterdir()) == []


def test_garbage_instead_of_a_database(url: str, tmp_path: Path) -> None:
    """A file that is no database is reported, not overwritten."""
    path = tmp_path / "echonode.db"
    path.write_bytes(b"garbage " * 1000)
    database = Database(url)
    with pytest.raises(StoreUnavailable, match="not a database"):
        database.upgrade()
    with pytest.raises(StoreUnavailable, match="not a database"), database.read() as session:
        studies.receiving(session)
    database.close()

    assert path.read_bytes() == b"garbage " * 1000


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresql://host/echonode"])
def test_only_sqlite_files(url: str) -> None:
    """A database that two processes cannot share is refused at once."""
    with pytest.raises(StoreError, match="not the URL of an SQLite file"):
        Database(url)


@pytest.mark.parametrize("name", ["with space.db", "a#b.db"])
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    """Characters that mean something in a URI are only characters in a file name."""
    database = Database(f"sqlite:///{tmp_path}/{name}")
    database.upgrade()
    database.close()

    assert (tmp_path / name).exists()
