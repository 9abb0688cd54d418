"""Deliveries: the outbox, one row per result and destination."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import delivery_table, result_table, utc_text
from store.db.states import DeliveryState, check_transition
from store.errors import IllegalTransition, NotFound

LONGEST_WAIT = timedelta(days=1)
"""No row waits longer: a time further ahead was written before the clock was set back."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One object on its way to one destination."""

    id: int
    destination: str
    """The name of the destination in the settings."""
    state: DeliveryState
    attempts: int
    """How often it was tried since `waiting_since`."""
    next_attempt_at: datetime
    """When it is sent (PENDING) or asked for (SENT)."""
    last_status: int | None
    """DIMSE status of the last answer; None if there was none."""
    error: str | None
    waiting_since: datetime
    """When it was made, or taken out of the parked ones."""
    asks: int
    """How often the destination was asked for commitment since it took the object."""
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
    revision before the one it replaces; a parked (DEAD) one, or one that was taken and is not yet
    committed (SENT), does not hold them up.
    """
    heads = (
        select(func.min(delivery_table.c.id))
        .join(result_table)
        .where(delivery_table.c.state == DeliveryState.PENDING)
        .group_by(delivery_table.c.destination, result_table.c.study_uid)
    )
    return _fetch(session, _rows(now, destination, limit).where(delivery_table.c.id.in_(heads)))


def to_be_committed(
    session: Session, *, now: datetime, destination: str | None = None, limit: int = 500
) -> list[Delivery]:
    """What a destination took and is to be asked for now, oldest first."""
    query = _rows(now, destination, limit).where(delivery_table.c.state == DeliveryState.SENT)
    return _fetch(session, query)


def by_id(session: Session, numbers: Select[Any]) -> list[Delivery]:
    """The deliveries whose numbers a query finds, oldest first."""
    return _fetch(session, _joined().where(delivery_table.c.id.in_(numbers)))


def delivered(session: Session, delivery: Delivery, *, status: int, now: datetime) -> None:
    """The destination took it, and that is enough.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not PENDING.
    """
    _attempted(session, delivery, now, DeliveryState.DELIVERED, last_status=status, error=None)


def sent(session: Session, delivery: Delivery, *, status: int, now: datetime) -> None:
    """The destination took it, and is to be asked to confirm that it keeps it.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not PENDING.
    """
    ask = {"asks": 0, "next_attempt_at": now}
    _attempted(session, delivery, now, DeliveryState.SENT, last_status=status, error=None, **ask)


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
    _require(session, delivery, DeliveryState.PENDING)
    values: dict[str, Any] = {"attempts": delivery.attempts + 1, "last_status": status, "error": error}
    values["next_attempt_at"] = next_attempt_at
    _write(session, delivery, values)
    _record(session, delivery, now, "retry", **values)


def park(session: Session, delivery: Delivery, *, error: str, status: int | None, now: datetime) -> None:
    """Give it up: refused for good, or tried for too long.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is neither PENDING nor SENT.
    """
    tried = delivery.attempts + (delivery.state is DeliveryState.PENDING)
    _move(session, delivery, now, DeliveryState.DEAD, "dead", attempts=tried, last_status=status, error=error)


def committed(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """The destination confirmed that it keeps it.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not SENT.
    """
    _move(session, delivery, now, DeliveryState.COMMITTED, "committed", error=None)


def resend(
    session: Session, delivery: Delivery, *, error: str, next_attempt_at: datetime, now: datetime
) -> None:
    """The destination does not keep it, or does not say so: send it again, the same bytes, at a time.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not SENT.
    """
    _require(session, delivery, DeliveryState.SENT)
    again = {"next_attempt_at": next_attempt_at}
    _move(session, delivery, now, DeliveryState.PENDING, "resend", error=error, **again)


def requeue(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """Try a parked delivery again, as patiently as the first time.

    Raises:
        NotFound: no such delivery.
        IllegalMove: it is not DEAD.
    """
    _require(session, delivery, DeliveryState.DEAD)
    fresh = {"attempts": 0, "asks": 0, "waiting_since": now, "next_attempt_at": now}
    _move(session, delivery, now, DeliveryState.PENDING, "requeued", **fresh)


def asked(session: Session, delivery: Delivery, *, ask_again_at: datetime) -> None:
    """The destination is asked for commitment now; without an answer it is asked again at a time."""
    _write(session, delivery, {"next_attempt_at": ask_again_at, "asks": delivery.asks + 1})


def not_asked(session: Session, delivery: Delivery, *, error: str, next_attempt_at: datetime) -> None:
    """The destination could not be asked: try again at a time.

    `delivery` as it was before it was `asked`. The caller records it, once for the whole request.
    """
    values = {"attempts": delivery.attempts + 1, "error": error, "next_attempt_at": next_attempt_at}
    _write(session, delivery, {**values, "asks": delivery.asks})


def parked(session: Session, study_uid: str | None = None) -> list[Delivery]:
    """The DEAD deliveries, of one study or all, oldest first."""
    query = _joined().where(delivery_table.c.state == DeliveryState.DEAD)
    return _fetch(session, query if study_uid is None else query.where(result_table.c.study_uid == study_uid))


def counts(session: Session) -> dict[str, int]:
    """Number of deliveries in each state."""
    query = select(delivery_table.c.state, func.count().label("number")).group_by(delivery_table.c.state)
    found = {row.state: row.number for row in session.execute(query)}
    return {state.value: found.get(state, 0) for state in DeliveryState}


def _rows(now: datetime, destination: str | None, limit: int) -> Select[Any]:
    at = delivery_table.c.next_attempt_at
    query = _joined().where(or_(at <= now, at > now + LONGEST_WAIT)).limit(limit)
    return query if destination is None else query.where(delivery_table.c.destination == destination)


def _joined() -> Select[Any]:
    columns = [column for column in delivery_table.c if column.name != "result_id"]
    of_result = (
        result_table.c.study_uid,
        result_table.c.sop_instance_uid,
        result_table.c.sop_class_uid,
        result_table.c.path,
    )
    return select(*columns, *of_result).join(result_table).order_by(delivery_table.c.id)


def _fetch(session: Session, query: Select[Any]) -> list[Delivery]:
    return [Delivery(**row) for row in session.execute(query).mappings()]


def _attempted(
    session: Session, delivery: Delivery, now: datetime, new: DeliveryState, **changes: Any
) -> None:
    _move(session, delivery, now, new, str(new).lower(), attempts=delivery.attempts + 1, **changes)


def _move(
    session: Session, delivery: Delivery, now: datetime, new: DeliveryState, event: str, **changes: Any
) -> None:
    check_transition(_state(session, delivery), new)
    _write(session, delivery, {"state": new, **changes})
    _record(session, delivery, now, event, **changes)


def _require(session: Session, delivery: Delivery, expected: DeliveryState) -> None:
    if (state := _state(session, delivery)) is not expected:
        raise IllegalTransition(f"delivery {delivery.id} is {state}, not {expected}")


def _state(session: Session, delivery: Delivery) -> DeliveryState:
    query = select(delivery_table.c.state).where(delivery_table.c.id == delivery.id)
    state: DeliveryState | None = session.scalar(query)
    if state is None:
        raise NotFound(f"no delivery {delivery.id}")
    return state


def _write(session: Session, delivery: Delivery, values: Mapping[str, Any]) -> None:
    session.execute(update(delivery_table).where(delivery_table.c.id == delivery.id).values(values))


def _record(session: Session, delivery: Delivery, now: datetime, event: str, **said: Any) -> None:
    detail: dict[str, object] = {"destination": delivery.destination}
    if "last_status" in said:
        status = said.pop("last_status")
        detail["status"] = None if status is None else f"0x{status:04X}"
    detail |= {key: utc_text(value) if isinstance(value, datetime) else value for key, value in said.items()}
    audit_log.record(
        session,
        f"delivery.{event}",
        "failure" if event in {"retry", "dead", "resend"} else "success",
        at=now,
        study_uid=delivery.study_uid,
        sop_instance_uid=delivery.sop_instance_uid,
        detail=detail,
    )
