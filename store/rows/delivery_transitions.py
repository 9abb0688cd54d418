"""Changes of deliveries: the only module that writes existing rows of `deliveries`, except for clock changes.

Each function raises NotFound for a delivery without a row, and IllegalTransition when the row's present
state is not the one that its docstring starts from.
"""

from datetime import datetime
from typing import TypedDict

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import delivery_table
from store.db.states import DeliveryState, check_transition
from store.db.utc_text import utc_text
from store.errors import IllegalTransition
from store.rows.deliveries import Delivery
from store.rows.queries import only_row

FAILURES = frozenset({"retry", "dead", "resend"})
"""Audit events delivery.… whose outcome is "failure"."""


class _Changes(TypedDict, total=False):
    """New values of columns besides `state`."""

    attempts: int
    last_status: int | None
    error: str | None
    next_attempt_at: datetime
    waiting_since: datetime
    asks: int


def delivered(session: Session, delivery: Delivery, *, status: int, now: datetime) -> None:
    """PENDING to DELIVERED: the C-STORE succeeded with this DIMSE status."""
    changes: _Changes = {"attempts": delivery.attempts + 1, "last_status": status, "error": None}
    _transition(session, delivery, DeliveryState.DELIVERED, "delivered", changes, now=now)


def sent(session: Session, delivery: Delivery, *, status: int, now: datetime) -> None:
    """PENDING to SENT: the C-STORE succeeded; storage commitment is to be requested."""
    changes: _Changes = {"attempts": delivery.attempts + 1, "last_status": status, "error": None}
    changes |= {"asks": 0, "next_attempt_at": now}
    _transition(session, delivery, DeliveryState.SENT, "sent", changes, now=now)


def retry_later(
    session: Session,
    delivery: Delivery,
    *,
    error: str,
    status: int | None,
    next_attempt_at: datetime,
    now: datetime,
) -> None:
    """Stay PENDING: the attempt failed, the next one is at `next_attempt_at`."""
    _require(session, delivery, DeliveryState.PENDING)
    changes: _Changes = {"attempts": delivery.attempts + 1, "last_status": status, "error": error}
    changes |= {"next_attempt_at": next_attempt_at}
    _update(session, delivery, changes)
    _record(session, delivery, "retry", changes, now)


def park(session: Session, delivery: Delivery, *, error: str, status: int | None, now: datetime) -> None:
    """PENDING or SENT to DEAD: refused permanently, or unsuccessful for too long."""
    attempts = delivery.attempts + (delivery.state is DeliveryState.PENDING)
    changes: _Changes = {"attempts": attempts, "last_status": status, "error": error}
    _transition(session, delivery, DeliveryState.DEAD, "dead", changes, now=now)


def committed(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """SENT to COMMITTED: the destination confirmed storage commitment."""
    _transition(session, delivery, DeliveryState.COMMITTED, "committed", {"error": None}, now=now)


def resend(
    session: Session, delivery: Delivery, *, error: str, next_attempt_at: datetime, now: datetime
) -> None:
    """SENT to PENDING: not committed, so the same bytes are sent again at `next_attempt_at`."""
    _require(session, delivery, DeliveryState.SENT)
    changes: _Changes = {"error": error, "next_attempt_at": next_attempt_at}
    _transition(session, delivery, DeliveryState.PENDING, "resend", changes, now=now)


def requeue(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """DEAD to PENDING, with a new count of attempts and a new waiting time."""
    _require(session, delivery, DeliveryState.DEAD)
    changes: _Changes = {"attempts": 0, "asks": 0, "waiting_since": now, "next_attempt_at": now}
    _transition(session, delivery, DeliveryState.PENDING, "requeued", changes, now=now)


def commitment_requested(session: Session, delivery: Delivery, *, next_attempt_at: datetime) -> None:
    """Count a storage commitment request; without an answer it is repeated at `next_attempt_at`.

    No audit event: the caller records one for the whole request.
    """
    _update(session, delivery, {"next_attempt_at": next_attempt_at, "asks": delivery.asks + 1})


def commitment_not_requested(
    session: Session, delivery: Delivery, *, error: str, next_attempt_at: datetime
) -> None:
    """Undo the count of a request that could not be sent, and try again at `next_attempt_at`.

    `delivery` is as it was before `commitment_requested`. No audit event, as there.
    """
    changes: _Changes = {"attempts": delivery.attempts + 1, "error": error, "asks": delivery.asks}
    _update(session, delivery, {**changes, "next_attempt_at": next_attempt_at})


def _transition(
    session: Session, delivery: Delivery, new: DeliveryState, event: str, changes: _Changes, *, now: datetime
) -> None:
    check_transition(_state(session, delivery), new)
    _update(session, delivery, changes, state=new)
    _record(session, delivery, event, changes, now)


def _require(session: Session, delivery: Delivery, expected: DeliveryState) -> None:
    if (state := _state(session, delivery)) is not expected:
        raise IllegalTransition(f"delivery {delivery.id} is {state}, not {expected}")


def _state(session: Session, delivery: Delivery) -> DeliveryState:
    query = select(delivery_table.c.state).where(delivery_table.c.id == delivery.id)
    state: DeliveryState = only_row(session, query, f"delivery {delivery.id}")["state"]
    return state


def _update(
    session: Session, delivery: Delivery, changes: _Changes, *, state: DeliveryState | None = None
) -> None:
    query = update(delivery_table).where(delivery_table.c.id == delivery.id)
    session.execute(query.values({**changes, "state": state} if state else {**changes}))


def _record(session: Session, delivery: Delivery, event: str, changes: _Changes, now: datetime) -> None:
    detail: dict[str, object] = {"destination": delivery.destination}
    for key, value in changes.items():
        if key == "last_status":
            detail["status"] = None if value is None else f"0x{value:04X}"
        else:
            detail[key] = utc_text(value) if isinstance(value, datetime) else value
    audit_log.record(
        session,
        f"delivery.{event}",
        "failure" if event in FAILURES else "success",
        at=now,
        study_uid=delivery.study_uid,
        sop_instance_uid=delivery.sop_instance_uid,
        detail=detail,
    )
