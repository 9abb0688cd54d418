"""Backup of the SQLite database while the node runs, and restore while it is stopped."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from store.db.integrity import integrity_errors
from store.errors import StoreError, StoreUnavailable
from store.files.fsync import sync

WAL_SUFFIXES = ("-wal", "-shm")
"""SQLite keeps these files beside a database in WAL mode."""
REQUIRED_TABLES = {"alembic_version", "audit_events", "instances", "studies"}


def backup(database: Path, target: Path) -> int:
    """Write a consistent, verified copy into one file (mode 0640); return its size in bytes.

    Writers are not blocked. `target` is replaced by the complete copy or left untouched.

    Raises:
        StoreUnavailable: the disk is full or failing, or the database is missing.
        StoreError: the copy is damaged, and so is the original.
    """
    draft = target.with_name(f".{target.name}.part")
    with _disk(draft):
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o640)
        with closing(_open(database, "ro")) as source, closing(_open(draft, "rw")) as copy:
            # All pages in one step: a copy in several steps starts again after each write. A reader
            # of a WAL database does not block writers.
            source.backup(copy)
            # Leaves one file without -wal and -shm.
            copy.execute("PRAGMA journal_mode=DELETE")
        check_backup(draft)
        sync(draft)
        draft.replace(target)
        sync(target.absolute().parent)
        return target.stat().st_size


def restore(source: Path, database: Path, *, now: datetime) -> Path | None:
    """Replace the database by a backup; the node must not run.

    The former database is kept beside it as `….damaged-TIME`. After a crash, call it again.

    Returns:
        Path of the former database; None when there was none.

    Raises:
        StoreUnavailable: the disk is full or failing.
        StoreError: `source` is not a backup or is damaged; nothing was changed.
    """
    check_backup(source)
    draft = database.with_name(f".{database.name}.restored")
    aside = database.with_name(f"{database.name}.damaged-{now:%Y%m%dT%H%M%S.%fZ}")
    with _disk(draft):
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, draft)
        draft.chmod(0o640)
        sync(draft)
        existed = database.exists()
        if existed:
            os.link(database, aside)
        # Before the replacement: SQLite would replay the old write-ahead log into the new file.
        for suffix in WAL_SUFFIXES:
            path = database.with_name(database.name + suffix)
            if path.exists():
                path.rename(aside.with_name(aside.name + suffix))
        sync(database.parent)
        draft.replace(database)
        sync(database.parent)
    return aside if existed else None


def check_backup(path: Path) -> None:
    """Check that a file is an undamaged echonode database.

    Raises:
        StoreError: it is not, or it cannot be read.
    """
    try:
        with closing(_open(path, "ro")) as connection:
            errors = integrity_errors(connection)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is no backup: {error}") from error
    if errors:
        raise StoreError(f"{path} is damaged: {errors[0]}")
    if not tables >= REQUIRED_TABLES:
        raise StoreError(f"{path} is no backup of an echonode database")


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)


@contextmanager
def _disk(draft: Path) -> Iterator[None]:
    """Turn errors of disk and database into StoreUnavailable; remove the draft in any case."""
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        raise StoreUnavailable(str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
