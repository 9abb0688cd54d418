"""Studies whose files exist, with what retention decides by, and the record of removed files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.file_schema import study_file_table
from store.db.schema import (
    delivery_table,
    instance_table,
    job_table,
    result_table,
    study_table,
)
from store.db.states import StudyState
from store.rows import file_removals
from store.rows.file_removals import FileRemoval, Kind

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


@dataclass(frozen=True, kw_only=True)
class StudyFiles:
    """A study with files of a kind, in the order in which retention looks at them."""

    study_uid: str
    last_event_at: datetime
    """At the latest known time; it may have been later since."""


def oldest(
    session: Session, kind: Kind, *, before: datetime | None, after: StudyFiles | None, limit: int
) -> list[StudyFiles]:
    """Return some studies with files of a kind, by `last_event_at`.

    Args:
        session: reads the database.
        kind: of the files.
        before: only studies whose last known event was at or before this time; None: all.
        after: only studies after this one; None: from the first.
        limit: at most so many.
    """
    order = study_file_table.c.last_event_at, study_file_table.c.study_uid
    query = select(study_file_table.c.study_uid, order[0]).where(study_file_table.c.kind == kind)
    if before is not None:
        query = query.where(order[0] <= before)
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(after.last_event_at, after.study_uid))
    rows = session.execute(query.order_by(*order).limit(limit)).mappings()
    return [StudyFiles(**row) for row in rows]


def candidate(session: Session, kind: Kind, study_uid: str) -> RetentionCandidate | None:
    """Return what retention decides by; None when the study has no files of the kind any more."""
    table, stored_at = TABLES[kind]
    queued = select(func.max(job_table.c.created_at)).where(job_table.c.study_uid == study_uid)
    query = (
        select(
            study_table.c.state,
            func.max(stored_at).label("stored_at"),
            study_table.c.last_received_at,
            queued.scalar_subquery().label("queued"),
            _awaits_delivery(table.c.study_uid).label("awaits_delivery"),
            _some_not_taken(table.c.study_uid).label("some_not_taken"),
        )
        .join(study_table, study_table.c.study_uid == table.c.study_uid, isouter=True)
        .where(table.c.study_uid == study_uid, table.c.file_gone_at.is_(None))
        .group_by(table.c.study_uid)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    return RetentionCandidate(
        kind=kind,
        study_uid=study_uid,
        state=row.state,
        last_event_at=max(filter(None, (row.stored_at, row.last_received_at, row.queued))),
        awaits_delivery=bool(row.awaits_delivery),
        all_taken=not row.some_not_taken,
    )


def move_forward(session: Session, found: Sequence[RetentionCandidate]) -> None:
    """Write down the last events of studies, so that retention does not look at them before it must."""
    query = update(study_file_table).where(
        study_file_table.c.kind == bindparam("its_kind"), study_file_table.c.study_uid == bindparam("uid")
    )
    rows = [
        {"its_kind": each.kind, "uid": each.study_uid, "last_event_at": each.last_event_at} for each in found
    ]
    session.connection().execute(query, rows)


def paths(session: Session, found: RetentionCandidate, *, limit: int) -> list[str]:
    """Return the relative paths of at most `limit` files of a candidate."""
    table, _ = TABLES[found.kind]
    query = select(table.c.path).where(table.c.study_uid == found.study_uid, table.c.file_gone_at.is_(None))
    return list(session.scalars(query.order_by(table.c.id).limit(limit)))


def mark_gone(
    session: Session, found: RetentionCandidate, gone: Sequence[str], *, why: str, now: datetime
) -> list[FileRemoval]:
    """Write into the rows of files, given by relative path, that they are gone; return what is to be done."""
    table, _ = TABLES[found.kind]
    session.execute(update(table).where(table.c.path.in_(gone)).values(file_gone_at=now))
    removals = [
        FileRemoval(path=path, kind=found.kind, study_uid=found.study_uid, because=why) for path in gone
    ]
    file_removals.add(session, removals)
    return removals


def removed(session: Session, removals: Sequence[FileRemoval], *, size_bytes: int, now: datetime) -> None:
    """Record that files of one study were removed, and why."""
    file_removals.done(session, removals)
    audit_log.record(
        session,
        f"{removals[0].kind}.file_removed",
        at=now,
        study_uid=removals[0].study_uid,
        detail={"files": len(removals), "size_bytes": size_bytes, "because": removals[0].because},
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
