"""Storage commitment requests that this node sends to destinations (PS3.4 Annex J)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import commitment_item_table, commitment_request_table
from store.db.states import RequestState, check_transition
from store.rows import deliveries, delivery_transitions
from store.rows.deliveries import Delivery


@dataclass(frozen=True, kw_only=True)
class CommitmentRequest:
    """One N-ACTION request to a destination."""

    transaction_uid: str
    destination: str
    """Name of the destination in the settings."""
    state: RequestState
    asked_at: datetime
    answered_at: datetime | None


def add(
    session: Session,
    transaction_uid: str,
    requested: Sequence[Delivery],
    *,
    destination: str,
    repeat_at: datetime,
    now: datetime,
) -> None:
    """Record a request before it is sent; without an answer, another one follows at `repeat_at`."""
    row = {"transaction_uid": transaction_uid, "destination": destination}
    session.execute(insert(commitment_request_table), {**row, "state": RequestState.ASKED, "asked_at": now})
    for delivery in requested:
        item = {"transaction_uid": transaction_uid, "delivery_id": delivery.id}
        session.execute(insert(commitment_item_table), item)
        delivery_transitions.commitment_requested(session, delivery, next_attempt_at=repeat_at)
    audit_log.record(session, "commitment.asked", at=now, detail={**row, "objects": len(requested)})


def get(session: Session, transaction_uid: str) -> CommitmentRequest | None:
    """Return the request with this Transaction UID; None if this node sent none."""
    query = select(commitment_request_table).filter_by(transaction_uid=transaction_uid)
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else CommitmentRequest(**row)


def deliveries_of(session: Session, transaction_uid: str) -> list[Delivery]:
    """Return the present deliveries of the objects that a request names."""
    ids = select(commitment_item_table.c.delivery_id).filter_by(transaction_uid=transaction_uid)
    return deliveries.by_id(session, ids)


def answered(session: Session, request: CommitmentRequest, *, kept: int, failed: int, now: datetime) -> None:
    """Record that the destination has answered, with the number of objects committed and failed.

    Raises:
        IllegalTransition: the request was answered before.
    """
    check_transition(request.state, RequestState.ANSWERED)
    query = update(commitment_request_table).filter_by(transaction_uid=request.transaction_uid)
    session.execute(query.values(state=RequestState.ANSWERED, answered_at=now))
    detail = {"transaction_uid": request.transaction_uid, "destination": request.destination}
    audit_log.record(
        session,
        "commitment.answered",
        "failure" if failed else "success",
        at=now,
        detail={**detail, "kept": kept, "failed": failed},
    )
