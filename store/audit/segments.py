"""Segments: files of old audit rows, whose SHA-256 stays in the database.

A file holds one JSON row per line, oldest first, compressed by gzip without file name and time, so
that equal rows give equal bytes.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from store.audit.chain import Row
from store.db.audit_schema import (
    audit_segment_study_table,
    audit_segment_table,
    audit_unindexed_segment_table,
)
from store.errors import StoreError, StoreUnavailable
from store.files.fsync import sync

FIRST_ID = audit_segment_table.c.first_id
COLUMNS = [column for column in audit_segment_table.c if column.name != "id"]
SELECT = select(*COLUMNS).order_by(FIRST_ID)
UNINDEXED = select(audit_unindexed_segment_table.c.first_id)


class SegmentUnreadable(StoreError):
    """A segment file of the audit log is missing or damaged."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A file with the audit rows `first_id` to `last_id`."""

    first_id: int
    last_id: int
    first_prev_hash: str
    last_hash: str
    sha256: str
    """Of the file."""
    sealed_at: datetime
    rows: int

    @property
    def file_name(self) -> str:
        """The file's name, without folder."""
        return file_name(self.first_id, self.last_id)


def file_name(first_id: int, last_id: int) -> str:
    """Return the name of the segment file of these rows."""
    return f"segment-{first_id}-{last_id}.jsonl.gz"


def all_segments(session: Session) -> list[Segment]:
    """Return all segments, oldest first."""
    return _fetch(session, SELECT)


def last(session: Session) -> Segment | None:
    """Return the newest segment; None when nothing is sealed."""
    query = select(*COLUMNS).order_by(audit_segment_table.c.last_id.desc()).limit(1)
    return next(iter(_fetch(session, query)), None)


def of_study(session: Session, study_uid: str) -> list[Segment]:
    """Return the segments that may have rows of a study: those known to have, and those not looked into."""
    known = select(audit_segment_study_table.c.first_id).filter_by(study_uid=study_uid)
    return _fetch(session, SELECT.where(or_(FIRST_ID.in_(known), FIRST_ID.in_(UNINDEXED))))


def index(session: Session, first_id: int, study_uids: Iterable[str]) -> None:
    """Record which studies the segment that begins with a row has rows of."""
    rows = [{"study_uid": uid, "first_id": first_id} for uid in sorted(set(study_uids))]
    if rows:
        session.execute(insert(audit_segment_study_table).on_conflict_do_nothing(), rows)
    session.execute(delete(audit_unindexed_segment_table).filter_by(first_id=first_id))


def unindexed(session: Session) -> Segment | None:
    """Return the oldest segment whose studies are not recorded: an earlier version has sealed it."""
    return next(iter(_fetch(session, SELECT.where(FIRST_ID.in_(UNINDEXED)).limit(1))), None)


def read(path: Path) -> Iterator[Row]:
    """Yield the rows of a segment file, one at a time.

    Raises:
        SegmentUnreadable: the file is missing or holds something else.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            for line in lines:
                yield _row(line)
    except FileNotFoundError as error:
        raise SegmentUnreadable(f"the segment file {path.name} is missing") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SegmentUnreadable(f"the segment file {path.name} is damaged") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a segment file in hexadecimal.

    Raises:
        SegmentUnreadable: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SegmentUnreadable(f"the segment file {path.name} is missing") from error


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a segment file; on return file and folder are synced to disk.

    Raises:
        StoreUnavailable: the disk is full, read-only or failing.
    """
    draft = path.with_name("segment.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        with draft.open("wb") as file:
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                for row in rows:
                    packed.write(_line(row))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        for folder in (path.parent, path.parent.parent):
            sync(folder)
    except OSError as error:
        raise StoreUnavailable(f"{error.strerror}: {path.name}") from error


def _row(line: str) -> Row:
    row = json.loads(line)
    if not isinstance(row, dict) or not {"id", "prev_hash", "hash"} <= row.keys():
        raise ValueError("not a row")
    return row


def _line(row: Row) -> bytes:
    return json.dumps(dict(row), separators=(",", ":")).encode("ascii") + b"\n"


def _fetch(session: Session, query: Select[Any]) -> list[Segment]:
    return [Segment(**row) for row in session.execute(query).mappings()]
