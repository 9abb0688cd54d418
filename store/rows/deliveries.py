"""Deliveries: the outbox, one row per result and destination."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, select, text
from sqlalchemy.orm import Session

from store.db.schema import delivery_table, result_table
from store.db.states import DeliveryState
from store.rows.queries import count_by_state, in_state

LONGEST_WAIT = timedelta(days=1)
"""A `next_attempt_at` further ahead was written before the clock was set back: the row is due."""

# SQLite reads every row for DISTINCT; this jumps from name to name in a partial index.
NAMES = """
WITH RECURSIVE names(name) AS (
    SELECT min(destination) FROM deliveries WHERE {where}
    UNION ALL
    SELECT (SELECT min(destination) FROM deliveries WHERE {where} AND destination > name) FROM names
    WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL
"""
WAITING_DESTINATIONS = [text(NAMES.format(where=where)) for where in ("is_next = 1", "state = 'SENT'")]


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
    """Return the PENDING deliveries to send now, the one due for longest first; `destination` None: to any.

    Of each study and destination only the first PENDING one, so that a PACS never gets a revision
    before the one it replaces. DEAD and SENT ones do not block those after them.
    """
    return _due(session, text("is_next = 1"), now, destination, limit)


def to_be_committed(
    session: Session, *, now: datetime, destination: str | None = None, limit: int = 500
) -> list[Delivery]:
    """Return the SENT deliveries whose commitment is to be requested now, the one due for longest first."""
    return _due(session, in_state(delivery_table.c.state, DeliveryState.SENT), now, destination, limit)


def waiting_destinations(session: Session) -> set[str]:
    """Return the names of the destinations to which something is PENDING or SENT."""
    return {str(name) for query in WAITING_DESTINATIONS for name in session.scalars(query)}


def by_id(session: Session, ids: Select[Any]) -> list[Delivery]:
    """Return the deliveries whose ids a query selects, oldest first."""
    return _fetch(session, _with_result().where(delivery_table.c.id.in_(ids)).order_by(delivery_table.c.id))


def parked(session: Session, study_uid: str | None = None) -> list[Delivery]:
    """Return the DEAD deliveries, oldest first; `study_uid` None: of all studies."""
    query = _with_result().where(delivery_table.c.state == DeliveryState.DEAD).order_by(delivery_table.c.id)
    return _fetch(session, query if study_uid is None else query.where(result_table.c.study_uid == study_uid))


def counts(session: Session) -> dict[str, int]:
    """Return the number of deliveries in each state."""
    return count_by_state(session, "delivery", DeliveryState)


def _due(
    session: Session,
    which: ColumnElement[bool] | TextClause,
    now: datetime,
    destination: str | None,
    limit: int,
) -> list[Delivery]:
    """Walk an index by the time of the next attempt: first what is due, then what only seems not to be."""
    at = delivery_table.c.next_attempt_at
    query = _with_result().where(which).order_by(at, delivery_table.c.id)
    if destination is not None:
        query = query.where(delivery_table.c.destination == destination)
    found = _fetch(session, query.where(at <= now).limit(limit))
    if len(found) < limit:
        found += _fetch(session, query.where(at > now + LONGEST_WAIT).limit(limit - len(found)))
    return found


def _with_result() -> Select[Any]:
    columns = [column for column in delivery_table.c if column.name not in {"result_id", "is_next"}]
    of_result = (
        result_table.c.study_uid,
        result_table.c.sop_instance_uid,
        result_table.c.sop_class_uid,
        result_table.c.path,
        result_table.c.sha256,
    )
    return select(*columns, *of_result).join(result_table)


def _fetch(session: Session, query: Select[Any]) -> list[Delivery]:
    return [Delivery(**row) for row in session.execute(query).mappings()]
