"""The audit trail: append-only rows, each carrying the hash of the one before.

`record` writes inside the caller's transaction, so an event and the change it tells of are durable
together or not at all. Write transactions are serial (BEGIN IMMEDIATE), hence so is the chain.

Events: node.started node.stopped association.opened association.rejected association.closed
association.aborted clock.set_back conflict.file_removed database.restored disk.low disk.recovered
instance.file_removed instance.received instance.duplicate instance.conflict instance.refused
instance.adopted instance.measured instance.not_measured study.receiving study.ready study.processing
study.done study.failed study.reopened job.queued job.claimed job.handed_back job.requeued job.retry
job.done job.dead result.created result.file_removed result.none web.cannot_listen
delivery.delivered delivery.sent delivery.committed delivery.retry delivery.resend delivery.dead
delivery.unparked commitment.asked commitment.not_asked commitment.answered commitment.unknown
commitment.requested commitment.refused commitment.reported commitment.report_retry commitment.report_dead
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Text, insert, select, text, type_coerce
from sqlalchemy.orm import Session

from store.schema import audit_events, utc_text

GENESIS = "0" * 64
"""The hash before the first row."""

MAX_TEXT = 128
"""Longest peer name or UID kept: what a hostile peer sends may be of any length."""

# Built once: SQLAlchemy takes longer to put a statement together than SQLite to run it.
LAST = select(audit_events.c.id, audit_events.c.hash).order_by(audit_events.c.id.desc()).limit(1)
INSERT = insert(audit_events)


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One row of the trail."""

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
    """Append one event; `detail` must hold nothing that names a patient."""
    last = session.execute(LAST).one_or_none()
    number, prev_hash = (last.id + 1, last.hash) if last else (1, GENESIS)
    row = {
        "id": number,
        "at": utc_text(at),
        "event": event,
        "outcome": outcome,
        "peer_ae": _bounded(peer_ae),
        "peer_ip": _bounded(peer_ip),
        "study_uid": _bounded(study_uid),
        "sop_instance_uid": _bounded(sop_instance_uid),
        "detail": canonical_json(detail or {}),
    }
    session.execute(INSERT, {**row, "at": at, "prev_hash": prev_hash, "hash": _digest(prev_hash, row)})


def events(
    session: Session,
    *,
    study_uid: str | None = None,
    since: datetime | None = None,
    event: str | None = None,
    outcome: str | None = None,
    limit: int | None = None,
) -> list[AuditEvent]:
    """Events that match, oldest first; `limit` keeps the newest."""
    query = select(audit_events).order_by(audit_events.c.id.desc()).limit(limit)
    for column, value in (("study_uid", study_uid), ("event", event), ("outcome", outcome)):
        if value is not None:
            query = query.where(audit_events.c[column] == value)
    if since is not None:
        query = query.where(audit_events.c.at >= since)
    return [_event(row) for row in reversed(session.execute(query).mappings().all())]


def verify(session: Session) -> list[int]:
    """Ids of the rows whose hash or link is wrong, and of rows cut off at the end; empty when sound."""
    columns = [column if column.name != "at" else type_coerce(column, Text) for column in audit_events.c]
    rows = session.execute(select(*columns).order_by(audit_events.c.id)).mappings()
    wrong, last = _broken(rows)
    highest = session.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'audit_events'")) or 0
    return wrong + list(range(last + 1, highest + 1))


def canonical_json(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no blanks, ASCII; ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _broken(rows: Iterable[Mapping[Any, Any]]) -> tuple[list[int], int]:
    wrong, number, prev_hash = [], 0, GENESIS
    for stored in rows:
        row = dict(stored)
        number, link, claimed = row["id"], row.pop("prev_hash"), row.pop("hash")
        if link != prev_hash or claimed != _digest(link, row):
            wrong.append(number)
        prev_hash = claimed
    return wrong, number


def _digest(prev_hash: str, row: Mapping[str, Any]) -> str:
    # repr: a tampered row may hold bytes, and must be reported, not stumbled over.
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(f"{prev_hash}{text}".encode()).hexdigest()


def _event(row: RowMapping) -> AuditEvent:
    return AuditEvent(**{**row, "detail": json.loads(row["detail"])})


def _bounded(value: str | None) -> str | None:
    return None if value is None else value.encode("utf-8", "backslashreplace").decode()[:MAX_TEXT]
