"""Studies whose files exist, with what retention decides by, and the record of removed files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Text, and_, exists, func, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import delivery_table, instance_table, job_table, result_table, study_table
from store.db.states import StudyState

Kind = Literal["instance", "result"]
KINDS: tuple[Kind, ...] = ("instance", "result")

TABLES = {
    "instance": (instance_table, instance_table.c.received_at),
    "result": (result_table, result_table.c.created_at),
}
# As text: with a state that is not listed here, files are kept.
DELIVERY_STATE = type_coerce(delivery_table.c.state, Text)
ENDED = ("DELIVERED", "COMMITTED", "DEAD")
TAKEN = ("DELIVERED", "COMMITTED")


@dataclass(frozen=True, kw_only=True)
class RetentionCandidate:
    """The existing files of one study: its received instances, or its results."""

    kind: Kind
    study_uid: str
    state: StudyState | None
    """None: the study has no row, because only results of this node were received of it."""
    last_event_at: datetime
    """When its last image was received, its last job queued or its last result made; the latest."""
    awaits_delivery: bool
    """Some delivery is PENDING or SENT."""
    all_taken: bool
    """Every result has deliveries, and all of them are DELIVERED or COMMITTED."""


def candidates(session: Session, kind: Kind, study_uid: str | None = None) -> list[RetentionCandidate]:
    """Return the studies with files of a kind, by `last_event_at`; `study_uid` None: all."""
    table, stored_at = TABLES[kind]
    job = (
        select(func.max(job_table.c.created_at))
        .where(job_table.c.study_uid == table.c.study_uid)
        .scalar_subquery()
    )
    query = (
        select(
            table.c.study_uid,
            study_table.c.state,
            func.max(stored_at).label("stored_at"),
            study_table.c.last_received_at,
            job.label("queued"),
            _awaits_delivery(table.c.study_uid).label("awaits_delivery"),
            _some_not_taken(table.c.study_uid).label("some_not_taken"),
        )
        .join(study_table, study_table.c.study_uid == table.c.study_uid, isouter=True)
        .where(table.c.file_gone_at.is_(None))
        .group_by(table.c.study_uid)
    )
    if study_uid is not None:
        query = query.where(table.c.study_uid == study_uid)
    found = [
        RetentionCandidate(
            kind=kind,
            study_uid=row.study_uid,
            state=row.state,
            last_event_at=max(filter(None, (row.stored_at, row.last_received_at, row.queued))),
            awaits_delivery=bool(row.awaits_delivery),
            all_taken=not row.some_not_taken,
        )
        for row in session.execute(query)
    ]
    return sorted(found, key=lambda each: each.last_event_at)


def paths(session: Session, candidate: RetentionCandidate, *, limit: int) -> list[str]:
    """Return the relative paths of at most `limit` files of a candidate."""
    table, _ = TABLES[candidate.kind]
    query = select(table.c.path).where(
        table.c.study_uid == candidate.study_uid, table.c.file_gone_at.is_(None)
    )
    return list(session.scalars(query.order_by(table.c.id).limit(limit)))


def mark_gone(
    session: Session,
    candidate: RetentionCandidate,
    gone: Sequence[str],
    *,
    size_bytes: int,
    why: str,
    now: datetime,
) -> None:
    """Record that files of a candidate, given by relative path, were removed, and why."""
    table, _ = TABLES[candidate.kind]
    session.execute(update(table).where(table.c.path.in_(gone)).values(file_gone_at=now))
    audit_log.record(
        session,
        f"{candidate.kind}.file_removed",
        at=now,
        study_uid=candidate.study_uid,
        detail={"files": len(gone), "size_bytes": size_bytes, "because": why},
    )


def _awaits_delivery(study_uid: ColumnElement[str]) -> ColumnElement[bool]:
    made = result_table.alias()
    return exists().where(
        made.c.study_uid == study_uid, delivery_table.c.result_id == made.c.id, DELIVERY_STATE.not_in(ENDED)
    )


def _some_not_taken(study_uid: ColumnElement[str]) -> ColumnElement[bool]:
    made = result_table.alias()
    to = delivery_table.c.result_id == made.c.id
    not_taken = exists().where(and_(to, DELIVERY_STATE.not_in(TAKEN)))
    return exists().where(made.c.study_uid == study_uid, or_(~exists().where(to), not_taken))
