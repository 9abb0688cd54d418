"""Deliveries: the outbox, one row per result and destination."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from store.db.schema import delivery_table, result_table
from store.db.states import DeliveryState
from store.rows.queries import count_by_state

LONGEST_WAIT = timedelta(days=1)
"""A `next_attempt_at` further ahead was written before the clock was set back: the row is due."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One result and its destination, as they were when they were read."""

    id: int
    destination: str
    """Name of the destination in the settings."""
    state: DeliveryState
    attempts: int
    """Attempts since `waiting_since`."""
    next_attempt_at: datetime
    """When it is sent (PENDING), or storage commitment is requested (SENT)."""
    last_status: int | None
    """DIMSE status of the last C-STORE response; None if none came."""
    error: str | None
    waiting_since: datetime
    """When the row was made or last requeued."""
    asks: int
    """Number of storage commitment requests since the destination took the object."""
    study_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    path: str
    """Relative to the data folder."""
    sha256: str
    """Of the data set, as the result was stored."""


def due(
    session: Session, *, now: datetime, destination: str | None = None, limit: int = 50
) -> list[Delivery]:
    """Return the PENDING deliveries to send now, oldest first; `destination` None: to any.

    Of each study and destination only the first PENDING one, so that a PACS never gets a revision
    before the one it replaces. DEAD and SENT ones do not block those after them.
    """
    heads = (
        select(func.min(delivery_table.c.id))
        .join(result_table)
        .where(delivery_table.c.state == DeliveryState.PENDING)
        .group_by(delivery_table.c.destination, result_table.c.study_uid)
    )
    return _fetch(session, _due(now, destination, limit).where(delivery_table.c.id.in_(heads)))


def to_be_committed(
    session: Session, *, now: datetime, destination: str | None = None, limit: int = 500
) -> list[Delivery]:
    """Return the SENT deliveries whose commitment is to be requested now, oldest first."""
    query = _due(now, destination, limit).where(delivery_table.c.state == DeliveryState.SENT)
    return _fetch(session, query)


def by_id(session: Session, ids: Select[Any]) -> list[Delivery]:
    """Return the deliveries whose ids a query selects, oldest first."""
    return _fetch(session, _with_result().where(delivery_table.c.id.in_(ids)))


def parked(session: Session, study_uid: str | None = None) -> list[Delivery]:
    """Return the DEAD deliveries, oldest first; `study_uid` None: of all studies."""
    query = _with_result().where(delivery_table.c.state == DeliveryState.DEAD)
    return _fetch(session, query if study_uid is None else query.where(result_table.c.study_uid == study_uid))


def counts(session: Session) -> dict[str, int]:
    """Return the number of deliveries in each state."""
    return count_by_state(session, delivery_table.c.state, DeliveryState)


def _due(now: datetime, destination: str | None, limit: int) -> Select[Any]:
    at = delivery_table.c.next_attempt_at
    query = _with_result().where(or_(at <= now, at > now + LONGEST_WAIT)).limit(limit)
    return query if destination is None else query.where(delivery_table.c.destination == destination)


def _with_result() -> Select[Any]:
    columns = [column for column in delivery_table.c if column.name != "result_id"]
    of_result = (
        result_table.c.study_uid,
        result_table.c.sop_instance_uid,
        result_table.c.sop_class_uid,
        result_table.c.path,
        result_table.c.sha256,
    )
    return select(*columns, *of_result).join(result_table).order_by(delivery_table.c.id)


def _fetch(session: Session, query: Select[Any]) -> list[Delivery]:
    return [Delivery(**row) for row in session.execute(query).mappings()]
