"""Copies of the database: made while the node runs, put back while it does not."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from store.db.database import complaints
from store.errors import StoreError, StoreUnavailable
from store.files.fsync import sync

COMPANIONS = ("-wal", "-shm")
NEEDED = {"alembic_version", "audit_events", "instances", "studies"}


def backup(database: Path, target: Path) -> int:
    """Write a consistent, verified copy in one file (mode 0640); writers go on meanwhile. Returns its bytes.

    `target` holds the whole copy or is not touched.

    Raises:
        StoreUnavailable: the disk is full or failing, or the database gone.
        StoreError: there is no database, or the copy is damaged as the original must be.
    """
    draft = target.with_name(f".{target.name}.part")
    with _disk(draft):
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o640)
        with closing(_open(database, "ro")) as source, closing(_open(draft, "rw")) as copy:
            # In one step: a reader of a WAL database holds nobody up, and pages copied in several
            # steps begin anew whenever somebody writes.
            source.backup(copy)
            # One file, without the companions of a WAL database.
            copy.execute("PRAGMA journal_mode=DELETE")
        check_backup(draft)
        sync(draft)
        draft.replace(target)
        sync(target.absolute().parent)
        return target.stat().st_size


def restore(source: Path, database: Path, *, now: datetime) -> Path | None:
    """Put a backup in the place of the database; the node must not run.

    What was there stays beside it as `….damaged-TIME`. A crash half way is cured by a second call.

    Returns:
        Where the former database is; None when there was none.

    Raises:
        StoreUnavailable: the disk is full or failing.
        StoreError: `source` is no backup, or a damaged one; nothing was changed.
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
        # Before the exchange: the log of the old file would be replayed into the new one.
        for companion in COMPANIONS:
            path = database.with_name(database.name + companion)
            if path.exists():
                path.rename(aside.with_name(aside.name + companion))
        sync(database.parent)
        draft.replace(database)
        sync(database.parent)
    return aside if existed else None


def check_backup(path: Path) -> None:
    """Make sure that a file is a sound database of this node.

    Raises:
        StoreError: it is not, or it cannot be read.
    """
    try:
        with closing(_open(path, "ro")) as connection:
            wrong = complaints(connection)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} is no backup: {error}") from error
    if wrong:
        raise StoreError(f"{path} is damaged: {wrong[0]}")
    if not tables >= NEEDED:
        raise StoreError(f"{path} is no backup of an echonode database")


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)


@contextmanager
def _disk(draft: Path) -> Iterator[None]:
    """Leave no draft behind, and say what the disk or the database said."""
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        raise StoreUnavailable(str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
