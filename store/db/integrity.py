"""SQLite's integrity check, bounded for the start of a process."""

import sqlite3
import time

CHECKED_WHOLE_BYTES = 256 * 2**20
"""Databases up to this size are checked as a whole at the start: about a second."""
PROGRESS_STEPS = 100_000
"""Virtual machine instructions of SQLite between two checks of the time limit: some milliseconds."""
NEWEST_ROWS = 1000
"""Of each table of a larger database, checked at the start: a crash damages what was written last."""


def integrity_errors(connection: sqlite3.Connection) -> list[str]:
    """Return the errors that PRAGMA quick_check reports; sqlite3.DatabaseError if it cannot run."""
    # A row may hold several lines, the first of them the name of the database.
    texts = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("***")]
    return [] if lines == ["ok"] else lines


def checked_within(connection: sqlite3.Connection, limit_s: float) -> list[str] | None:
    """Return the errors found within a time limit; None when not everything was looked at.

    Of a database larger than `CHECKED_WHOLE_BYTES` only the schema and the newest rows of each table are
    read: SQLite cannot be interrupted while it follows the pages of one table.

    Raises:
        sqlite3.DatabaseError: what was read is damaged.
    """
    deadline = time.monotonic() + limit_s
    connection.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
    try:
        if _size_bytes(connection) <= CHECKED_WHOLE_BYTES:
            return integrity_errors(connection)
        _read_newest(connection)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    return None


def _size_bytes(connection: sqlite3.Connection) -> int:
    (pages,), (page_bytes,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
    )
    return int(pages) * int(page_bytes)


def _read_newest(connection: sqlite3.Connection) -> None:
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID%'"
    for (name,) in connection.execute(tables).fetchall():
        newest = f'SELECT * FROM "{name}" ORDER BY rowid DESC LIMIT {NEWEST_ROWS}'  # noqa: S608 - names of our tables
        connection.execute(newest).fetchall()
