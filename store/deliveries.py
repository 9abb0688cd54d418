"""Deliveries: the outbox, one row per result and destination."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store import audit
from store.errors import IllegalMove, NotFound
from store.schema import deliveries, results, utc_text
from store.states import DeliveryState


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One object on its way to one destination."""

    id: int
    destination: str
    """The name of the destination in the settings."""
    state: DeliveryState
    attempts: int
    """How often it was tried."""
    next_attempt_at: datetime
    last_status: int | None
    """DIMSE status of the last answer; None if there was none."""
    error: str | None
    study_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    path: str
    """Relative to the data folder."""


def due(
    session: Session, *, now: datetime, destination: str | None = None, limit: int = 50
) -> list[Delivery]:
    """What may be sent now, oldest first: per destination and study only the head of the line.

    `destination` None means any.

    Later objects of the study wait while an earlier one is PENDING, so that a PACS never sees a
    revision before the one it replaces; a parked (DEAD) one does not hold them up.
    """
    line = (deliveries.c.destination, results.c.study_uid)
    heads = (
        select(func.min(deliveries.c.id))
        .join(results)
        .where(deliveries.c.state == DeliveryState.PENDING)
        .group_by(*line)
    )
    columns = [column for column in deliveries.c if column.name != "result_id"]
    query = (
        select(*columns, *line[1:], results.c.sop_instance_uid, results.c.sop_class_uid, results.c.path)
        .join(results)
        .where(deliveries.c.id.in_(heads), deliveries.c.next_attempt_at <= now)
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    if destination is not None:
        query = query.where(deliveries.c.destination == destination)
    return [Delivery(**row) for row in session.execute(query).mappings()]


def delivered(session: Session, delivery: Delivery, *, status: int, now: datetime) -> None:
    """The destination took it.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not PENDING.
    """
    _attempted(
        session, delivery, now, "delivered", state=DeliveryState.DELIVERED, last_status=status, error=None
    )


def retry_later(
    session: Session,
    delivery: Delivery,
    *,
    error: str,
    status: int | None,
    next_attempt_at: datetime,
    now: datetime,
) -> None:
    """The attempt failed; try again at a time.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not PENDING.
    """
    _attempted(
        session, delivery, now, "retry", last_status=status, error=error, next_attempt_at=next_attempt_at
    )


def park(session: Session, delivery: Delivery, *, error: str, status: int | None, now: datetime) -> None:
    """Give it up: refused for good, or tried too often.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not PENDING.
    """
    _attempted(session, delivery, now, "dead", state=DeliveryState.DEAD, last_status=status, error=error)


def counts(session: Session) -> dict[str, int]:
    """Number of deliveries in each state."""
    query = select(deliveries.c.state, func.count().label("number")).group_by(deliveries.c.state)
    found = {row.state: row.number for row in session.execute(query)}
    return {state.value: found.get(state, 0) for state in DeliveryState}


def _attempted(
    session: Session,
    delivery: Delivery,
    now: datetime,
    event: str,
    *,
    state: DeliveryState = DeliveryState.PENDING,
    last_status: int | None,
    **changes: Any,
) -> None:
    row = session.execute(select(deliveries).where(deliveries.c.id == delivery.id)).one_or_none()
    if row is None:
        raise NotFound(f"no delivery {delivery.id}")
    if row.state is not DeliveryState.PENDING:
        raise IllegalMove(f"delivery {delivery.id} is {row.state}, not PENDING")
    values = {"state": state, "last_status": last_status, "attempts": row.attempts + 1, **changes}
    session.execute(update(deliveries).where(deliveries.c.id == delivery.id), values)
    _record(session, delivery, now, event, attempts=row.attempts + 1, last_status=last_status, **changes)


def _record(
    session: Session, delivery: Delivery, now: datetime, event: str, *, last_status: int | None, **said: Any
) -> None:
    status = None if last_status is None else f"0x{last_status:04X}"
    detail = {"destination": delivery.destination, "status": status}
    detail |= {key: utc_text(value) if isinstance(value, datetime) else value for key, value in said.items()}
    audit.record(
        session,
        f"delivery.{event}",
        "success" if event == "delivered" else "failure",
        at=now,
        study_uid=delivery.study_uid,
        sop_instance_uid=delivery.sop_instance_uid,
        detail=detail,
    )
