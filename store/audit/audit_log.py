"""The audit log: append-only rows, each holding the hash of the row before it.

`record` writes inside the caller's transaction: an event and the change it describes are committed
together or not at all. Write transactions are serial (BEGIN IMMEDIATE), so the chain has one order.

Events: node.started node.stopped model.loaded association.opened association.rejected association.closed
association.aborted certificate.expires clock.set_back conflict.file_removed database.restored disk.low
disk.recovered instance.file_removed instance.received instance.duplicate instance.conflict instance.refused
instance.corrected instance.adopted instance.measured instance.not_measured
study.receiving study.ready study.processing study.done study.failed study.reopened
job.queued job.claimed job.released job.requeued job.retry
job.postponed job.superseded job.done job.dead result.created result.file_removed result.none
web.cannot_listen
delivery.delivered delivery.sent delivery.committed delivery.retry delivery.resend delivery.dead
delivery.requeued commitment.asked commitment.not_asked commitment.answered commitment.unknown
commitment.requested commitment.refused commitment.reported commitment.report_retry commitment.report_dead
report.refused report.charset_assumed report.source_corrected audit.sealed audit.checkpoint
audit.rows_lost audit.read analysis.unconfined
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, Text, insert, select, type_coerce
from sqlalchemy.orm import Session

from store.audit import segments
from store.audit.chain import GENESIS, Row, digest
from store.db.audit_schema import audit_event_table
from store.db.utc_text import utc_text

MAX_TEXT = 128
"""Characters of a peer name or UID that are kept; a peer may send any length."""

# Built once: SQLAlchemy needs longer to build a statement than SQLite to execute it.
LAST = (
    select(audit_event_table.c.id, audit_event_table.c.hash).order_by(audit_event_table.c.id.desc()).limit(1)
)
INSERT = insert(audit_event_table)
STORED = [column if column.name != "at" else type_coerce(column, Text) for column in audit_event_table.c]
FETCH = 1000
"""Rows fetched from the database at a time in `stored_rows`."""


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One row of the audit log."""

    id: int
    at: datetime
    event: str
    outcome: str
    """"success", "refused" or "failure"."""
    peer_ae: str | None
    peer_ip: str | None
    study_uid: str | None
    sop_instance_uid: str | None
    detail: Mapping[str, Any]
    prev_hash: str
    hash: str


def record(
    session: Session,
    event: str,
    outcome: str = "success",
    *,
    at: datetime,
    peer_ae: str | None = None,
    peer_ip: str | None = None,
    study_uid: str | None = None,
    sop_instance_uid: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Append one event.

    Args:
        session: of the transaction that makes the change.
        event: one of the names in the module's docstring.
        outcome: "success", "refused" or "failure".
        at: aware.
        peer_ae: AE title of the peer; cut to `MAX_TEXT` characters, as the next three are.
        peer_ip: address of the peer.
        study_uid: Study Instance UID.
        sop_instance_uid: SOP Instance UID.
        detail: JSON values without patient data.
    """
    last_id, prev_hash = head(session) or (0, GENESIS)
    row = {
        "id": last_id + 1,
        "at": utc_text(at),
        "event": event,
        "outcome": outcome,
        "peer_ae": _bounded(peer_ae),
        "peer_ip": _bounded(peer_ip),
        "study_uid": _bounded(study_uid),
        "sop_instance_uid": _bounded(sop_instance_uid),
        "detail": canonical_json(detail or {}),
    }
    session.execute(INSERT, {**row, "at": at, "prev_hash": prev_hash, "hash": digest(prev_hash, row)})


def events(
    session: Session,
    *,
    study_uid: str | None = None,
    since: datetime | None = None,
    event: str | None = None,
    outcome: str | None = None,
    limit: int | None = None,
    sealed: Path | None = None,
) -> list[AuditEvent]:
    """Return the matching events, oldest first.

    Args:
        session: reads the database.
        study_uid: only events of this study; None: any.
        event: only events of this name; None: any.
        outcome: only events of this outcome; None: any.
        since: only events at or after this time; None: any.
        limit: at most this many, the newest; None: all.
        sealed: folder of the segment files to search too; None: only the database.

    Raises:
        SegmentUnreadable: a segment file is missing or damaged.
    """
    query = select(audit_event_table).order_by(audit_event_table.c.id.desc()).limit(limit)
    for column, value in (("study_uid", study_uid), ("event", event), ("outcome", outcome)):
        if value is not None:
            query = query.where(audit_event_table.c[column] == value)
    if since is not None:
        query = query.where(audit_event_table.c.at >= since)
    found = [_event(row) for row in reversed(session.execute(query).mappings().all())]
    if sealed is None or (limit is not None and len(found) >= limit):
        return found
    columns = {"study_uid": study_uid, "event": event, "outcome": outcome}
    rows = _sealed_rows(session, sealed, since, study_uid)
    return [*deque(_matching(rows, since, columns), maxlen=limit and limit - len(found)), *found]


def after(session: Session, last_id: int, *, limit: int) -> list[AuditEvent]:
    """Return at most `limit` events with ids above `last_id`, oldest first."""
    query = (
        select(audit_event_table)
        .where(audit_event_table.c.id > last_id)
        .order_by(audit_event_table.c.id)
        .limit(limit)
    )
    return [_event(row) for row in session.execute(query).mappings()]


def head(session: Session) -> tuple[int, str] | None:
    """Return id and hash of the last row; None in an empty table."""
    last = session.execute(LAST).one_or_none()
    return (last.id, last.hash) if last else None


def stored_rows(
    session: Session, *, first_id: int | None = None, last_id: int | None = None
) -> Iterator[Row]:
    """Yield rows by ascending id with times as text, as they are hashed; `FETCH` rows are in memory."""
    query = select(*STORED).order_by(audit_event_table.c.id).execution_options(yield_per=FETCH)
    if first_id is not None:
        query = query.where(audit_event_table.c.id >= first_id)
    if last_id is not None:
        query = query.where(audit_event_table.c.id <= last_id)
    for row in session.execute(query).mappings():
        yield dict(row)


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, no blanks, ASCII only; ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _sealed_rows(
    session: Session, folder: Path, since: datetime | None, study_uid: str | None
) -> Iterator[Row]:
    found = segments.all_segments(session) if study_uid is None else segments.of_study(session, study_uid)
    for segment in found:
        if since is None or segment.sealed_at >= since:  # all rows of a segment are older than its sealing
            yield from segments.read(folder / segment.file_name)


def _matching(
    rows: Iterable[Row], since: datetime | None, columns: Mapping[str, str | None]
) -> Iterator[AuditEvent]:
    """Apply the filter of `events` to rows as they are stored."""
    filters = {name: value for name, value in columns.items() if value is not None}
    begin = "" if since is None else utc_text(since)
    for row in rows:
        if row["at"] >= begin and all(row[name] == value for name, value in filters.items()):
            yield _event({**row, "at": datetime.fromisoformat(row["at"])})


def _event(row: Row | RowMapping) -> AuditEvent:
    return AuditEvent(**{**row, "detail": json.loads(row["detail"])})


def _bounded(value: str | None) -> str | None:
    return None if value is None else value.encode("utf-8", "backslashreplace").decode()[:MAX_TEXT]
