"""Retention of the audit log: old rows move from the database into segment files.

The file is made durable first. Then one transaction inserts the segment's row, records the event and
deletes the audit rows. After a crash in between, the next call writes the same file again.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from store.audit import audit_log, segments
from store.audit.chain import GENESIS, Chain, Row
from store.db.audit_schema import audit_event_table, audit_segment_table
from store.db.database import Database
from store.errors import StoreError

SEGMENT_ROWS = 20_000
"""Rows per file at most: few enough to be deleted in one short transaction."""


class UnsoundRows(StoreError):
    """Audit rows that break the hash chain are not sealed; `echonode audit verify` names them."""


def seal(
    database: Database,
    folder: Path,
    *,
    before: datetime,
    now: datetime,
    exported_id: int | None = None,
    max_rows: int = SEGMENT_ROWS,
) -> int:
    """Move the oldest rows into one segment file; return how many rows.

    Args:
        database: holds the rows.
        folder: of the segment files.
        before: only rows older than this.
        now: the time of sealing.
        exported_id: only rows up to this id, the last one exported; None: nothing is exported.
        max_rows: rows per file.

    Raises:
        UnsoundRows: the rows do not continue the chain; they stay in the database.
        StoreUnavailable: disk or database error; call again later.
    """
    with database.read() as session:
        last = segments.last(session)
        last_id, last_hash = (last.last_id, last.last_hash) if last else (0, GENESIS)
        end = _unfinished_end(folder, last_id + 1) or _last_older(session, before, last_id, max_rows)
        if exported_id is not None:
            end = min(end, exported_id)
        rows = list(audit_log.stored_rows(session, first_id=last_id + 1, last_id=end))
    if not rows:
        return 0
    _check(rows, last_id, last_hash)
    path = folder / segments.file_name(rows[0]["id"], rows[-1]["id"])
    segments.write(path, rows)
    sha256 = segments.sha256_of(path)
    with database.transaction() as session:
        _replace_by_file(session, rows, sha256, now)
    return len(rows)


def index_next(database: Database, folder: Path) -> bool:
    """Record the studies of a segment that an earlier version has sealed; False when there is none.

    Raises:
        SegmentUnreadable: its file is missing or damaged.
        StoreUnavailable: disk or database error; call again later.
    """
    with database.read() as session:
        segment = segments.unindexed(session)
    if segment is None:
        return False
    study_uids = {row["study_uid"] for row in segments.read(folder / segment.file_name)}
    with database.transaction() as session:
        segments.index(session, segment.first_id, filter(None, study_uids))
    return True


def _last_older(session: Session, before: datetime, last_id: int, max_rows: int) -> int:
    """Return the id of the last of the next `max_rows` rows before the first one at or after `before`.

    Never the newest row.
    """
    by_id, end = audit_event_table.c.id, last_id + max_rows
    looked_at = select(by_id).where(by_id.between(last_id + 1, end), audit_event_table.c.at >= before)
    young = session.scalar(looked_at.order_by(by_id).limit(1))
    newest, _ = audit_log.head(session) or (1, GENESIS)
    return min(young - 1 if young else end, newest - 1)


def _unfinished_end(folder: Path, first_id: int) -> int | None:
    """Return the last id of a file that starts with `first_id` and was written before a crash, if any."""
    found = (re.fullmatch(rf"segment-{first_id}-(\d+)\.jsonl\.gz", path.name) for path in folder.glob("*"))
    return next((int(match[1]) for match in found if match), None)


def _check(rows: Sequence[Row], last_id: int, last_hash: str) -> None:
    chain = Chain(last_id=last_id, last_hash=last_hash)
    chain.extend(rows)
    flaws = chain.close(rows[-1]["id"])
    if flaws:
        raise UnsoundRows(f"not sealed: {flaws[0].sentence}")


def _replace_by_file(session: Session, rows: Sequence[Row], sha256: str, now: datetime) -> None:
    first_id, last_id = rows[0]["id"], rows[-1]["id"]
    values = {"first_id": first_id, "last_id": last_id, "sha256": sha256, "rows": len(rows)}
    hashes = {"first_prev_hash": rows[0]["prev_hash"], "last_hash": rows[-1]["hash"]}
    session.execute(insert(audit_segment_table), {**values, **hashes, "sealed_at": now})
    segments.index(session, first_id, filter(None, {row["study_uid"] for row in rows}))
    audit_log.record(session, "audit.sealed", at=now, detail=values)
    session.execute(delete(audit_event_table).where(audit_event_table.c.id.between(first_id, last_id)))
