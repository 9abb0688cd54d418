"""Databases as the years leave them, made by bulk inserts instead of by running the node.

`make` writes the tables as the version before migration 0007 knew them, in SQL without triggers and indexes,
and lets the program itself migrate the file. Per study: 2 images, 1 job, 2 results, 2 deliveries, 13 audit
rows in a sound chain; per ten studies a report of storage commitment; and as many studies again of which
nothing is left but sealed audit rows. Studies come every 20 minutes. All are concluded but the newest `OPEN`;
of the older half the files are gone.
"""

import gzip
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from string import Template

import alembic.command
from alembic.config import Config
from bench.audit_chain import AUDIT_ROWS, PEER, audit_rows
from sqlalchemy import create_engine
from support.raw_rows import without_triggers

from store.audit.chain import GENESIS
from store.audit.segments import file_name
from store.db.database import Database
from store.db.upgrade import MIGRATIONS
from store.db.utc_text import utc_text

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
EVERY = timedelta(minutes=20)
BEFORE = "0006"
"""Of the tables that are written; the program migrates them to its own."""
OPEN = 20
"""Studies that are not concluded: a quarter is being received, a quarter was measured and not delivered."""
SEGMENT_ROWS = 2000
DESTINATION = "pacs"
ROOT = "1.2.826.0.1.3680043.10"
SCRIPT = Path(__file__).with_name("archive.sql")
PRAGMAS = (
    "journal_mode=OFF",
    "synchronous=OFF",
    "cache_size=-2000000",
    "temp_store=MEMORY",
    "ignore_check_constraints=ON",
)


def study_uid(number: int) -> str:
    """Return the UID of a study, the first being 1."""
    return f"{ROOT}.{number * 2654435761 % 4294967296}.{number}"


def sealed_study_uid(number: int) -> str:
    """Return the UID of a study of which only sealed audit rows are left, the first being 1."""
    return f"{ROOT}.7.{number}"


def make(path: Path, studies: int, *, pending: int | None = None) -> None:
    """Write the database of an archive, and its one segment file, as the version before left them.

    Args:
        path: of the database; the segment file is beside it, in audit/.
        studies: how many.
        pending: of how many studies the results are not delivered; None: of some open ones.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _tables(path)
    values = {
        "studies": studies,
        "received": studies - OPEN // 4,
        "measured": studies - 3 * OPEN // 4,
        "delivered": studies - (OPEN if pending is None else pending + 3 * OPEN // 4),
        "begin": int((NOW - studies * EVERY).timestamp()),
        "every_s": int(EVERY.total_seconds()),
        "root": ROOT,
        "peer": PEER,
        "destination": DESTINATION,
    }
    script = Template(SCRIPT.read_text(encoding="ascii")).substitute(values)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        with without_triggers(connection.execute), without_indexes(connection):
            connection.execute("BEGIN")
            for statement in script.split(";\n"):
                connection.execute(statement)
            last_hash = _segments(connection, path.parent / "audit", studies)
            _audit_rows(connection, studies, last_hash)
            connection.execute("COMMIT")


def upgrade(path: Path, studies: int) -> None:
    """Migrate the database as the program does, and record which studies are in the sealed segments."""
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        last = _segment_of(studies)
        rows = ((sealed_study_uid(n), first) for n in range(1, studies + 1) for first in _firsts(n, last))
        connection.execute("DELETE FROM audit_unindexed_segments")
        connection.executemany("INSERT OR IGNORE INTO audit_segment_studies VALUES (?, ?)", rows)
        connection.execute("UPDATE file_scans SET finished_at = 'not here: there are no files'")


def make_and_migrate(path: Path, studies: int, *, pending: int | None = None) -> dict[str, float]:
    """Do both; return how many seconds each took."""
    began = time.perf_counter()
    make(path, studies, pending=pending)
    made = time.perf_counter()
    upgrade(path, studies)
    return {"make_s": made - began, "migrate_s": time.perf_counter() - made}


def _tables(path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, BEFORE)
    engine.dispose()


@contextmanager
def without_indexes(connection: sqlite3.Connection) -> Iterator[None]:
    """Take the indexes away for the block: they are built faster from all rows at once."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    indexes = connection.execute(query).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, sql in indexes:
        connection.execute(sql)


def _segment_of(studies: int) -> int:
    """Return the number of the last sealed row: whole segments, at least one."""
    return max(studies * AUDIT_ROWS // SEGMENT_ROWS, 1) * SEGMENT_ROWS


def _firsts(number: int, last: int) -> Iterator[int]:
    """Yield the first rows of the segments that hold the rows of a sealed study."""
    for row in {(number - 1) * AUDIT_ROWS + 1, number * AUDIT_ROWS}:
        if row <= last:
            yield (row - 1) // SEGMENT_ROWS * SEGMENT_ROWS + 1


def _segments(connection: sqlite3.Connection, folder: Path, studies: int) -> str:
    """Write the rows of all segments, and the file of the first: no other may be read for the first study."""
    folder.mkdir(exist_ok=True)
    names = ("id", "at", "event", "outcome", "peer_ae", "peer_ip", "study_uid", "sop_instance_uid", "detail")
    names += ("prev_hash", "hash")
    at, made, last_hash = utc_text(NOW - studies * EVERY), [], GENESIS
    for row in audit_rows(
        1, (sealed_study_uid(n) for n in range(1, SEGMENT_ROWS)), [at] * SEGMENT_ROWS, GENESIS
    ):
        made.append(json.dumps(dict(zip(names, row, strict=True)), separators=(",", ":")))
        if len(made) == SEGMENT_ROWS:
            last_hash = row[-1]
            break
    (folder / file_name(1, SEGMENT_ROWS)).write_bytes(gzip.compress("\n".join([*made, ""]).encode(), mtime=0))
    for first in range(1, _segment_of(studies), SEGMENT_ROWS):
        ends = (GENESIS if first == 1 else last_hash, last_hash)
        values = (first, first + SEGMENT_ROWS - 1, *ends, "0" * 64, at, SEGMENT_ROWS)
        columns = '(first_id, last_id, first_prev_hash, last_hash, sha256, sealed_at, "rows")'
        connection.execute(f"INSERT INTO audit_segments {columns} VALUES (?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608
    return last_hash


def _audit_rows(connection: sqlite3.Connection, studies: int, last_hash: str) -> None:
    uids = (study_uid(number) for number in range(1, studies + 1))
    times = (utc_text(NOW - (studies - number) * EVERY) for number in range(1, studies + 1))
    rows = audit_rows(_segment_of(studies) + 1, uids, times, last_hash)
    while batch := list(
        islice(rows, 100 * AUDIT_ROWS)
    ):  # of one statement: the counter of ids is read for each
        marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(batch))
        connection.execute(f"INSERT INTO audit_events VALUES {marks}", list(chain.from_iterable(batch)))  # noqa: S608
