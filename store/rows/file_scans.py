"""Requests to look for files without a row in the whole data folder, which takes long with many files.

After a crash the files in question are known (`FileStore.linked_leftovers`). Only after a restore, and once
with new tables, any file may be without a row.
"""

from datetime import datetime

from sqlalchemy import exists, insert, select, update
from sqlalchemy.orm import Session

from store.db.file_schema import file_scan_table

OPEN = file_scan_table.c.finished_at.is_(None)


def request(session: Session, because: str) -> None:
    """Have the next start of a receiver look through the data folder."""
    session.execute(insert(file_scan_table), {"because": because, "finished_at": None})


def is_requested(session: Session) -> bool:
    """Tell whether it must be looked through."""
    return bool(session.scalar(select(exists().where(OPEN))))


def finished(session: Session, *, now: datetime) -> None:
    """Record that it was."""
    session.execute(update(file_scan_table).where(OPEN).values(finished_at=now))
