"""Answers to storage commitment requests: what theirs make of our deliveries, and what ours say."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from dicom_node.delivery.backoff import is_overdue
from dicom_node.delivery.outbox import again_at
from dicom_node.network.commitment_messages import (
    CLASS_INSTANCE_CONFLICT,
    CLASS_NOT_SUPPORTED,
    DUPLICATE_TRANSACTION,
    Answer,
    answer_for,
)
from dicom_node.network.peer import Peer
from dicom_node.settings import Settings
from store.audit import audit_log
from store.db.database import Database
from store.db.states import DeliveryState, RequestState
from store.rows import commitments, deliveries, instances
from store.rows.commitments import Report
from store.rows.deliveries import Delivery

log = structlog.get_logger()

PERMANENT = frozenset({CLASS_INSTANCE_CONFLICT, CLASS_NOT_SUPPORTED})
"""The same bytes would fail the same way tomorrow. Everything else may pass."""


def take_answer(database: Database, settings: Settings, answer: Answer, *, peer: Peer, now: datetime) -> bool:
    """Move the deliveries that an answer is about; False if we never asked that AE title that.

    An answer counts whenever it comes, and once: what comes again is taken and changes nothing.

    Raises:
        StoreUnavailable: the database cannot be written now; the answer is needed again.
    """
    with database.transaction() as session:
        request = commitments.request(session, answer.transaction_uid)
        if request is None or peer.ae_title not in _ae_titles(settings, request.destination):
            detail = {"transaction_uid": answer.transaction_uid}
            audit_log.record(session, "commitment.unknown", "refused", at=now, **peer.columns, detail=detail)
            return False
        if request.state is RequestState.ASKED:
            kept, failed = len(answer.kept), len(answer.failed)
            commitments.answered(session, request, kept=kept, failed=failed, now=now)
            for delivery in commitments.asked_for(session, answer.transaction_uid):
                _apply(session, delivery, answer, settings=settings, now=now)
    log.info("commitment.answered", to=request.destination, kept=len(answer.kept), failed=len(answer.failed))
    return True


def our_answer(session: Session, report: Report) -> Answer:
    """Say what we keep, now, of what a peer asked for."""
    held = instances.held(session, [instance for _, instance in report.items])
    return answer_for(report.transaction_uid, report.items, held)


def not_committed(
    session: Session, delivery: Delivery, error: str, *, settings: Settings, now: datetime, at: datetime
) -> None:
    """Send an object again at a time, or park it when that has gone on for too long."""
    if is_overdue(waiting_since=delivery.waiting_since, now=now, policy=settings.delivery):
        deliveries.park(session, delivery, error=error, status=None, now=now)
    else:
        deliveries.resend(session, delivery, error=error, next_attempt_at=at, now=now)


def _ae_titles(settings: Settings, destination: str) -> set[str]:
    return {each.ae_title for each in settings.destinations if each.name == destination}


def _apply(
    session: Session, delivery: Delivery, answer: Answer, *, settings: Settings, now: datetime
) -> None:
    reference = (delivery.sop_class_uid, delivery.sop_instance_uid)
    reason = answer.failed.get(reference)
    if delivery.state is not DeliveryState.SENT:
        return  # answered before in another transaction, or on its way again
    if reason is not None:
        _not_kept(session, delivery, reason, settings=settings, now=now)
    elif reference in answer.kept:
        deliveries.committed(session, delivery, now=now)


def _not_kept(
    session: Session, delivery: Delivery, reason: int, *, settings: Settings, now: datetime
) -> None:
    error = f"not committed, failure reason 0x{reason:04X}"
    if reason in PERMANENT:
        deliveries.park(session, delivery, error=error, status=reason, now=now)
        return
    again = again_at(delivery, now=now, policy=settings.delivery)
    later = again or now + timedelta(seconds=settings.delivery.max_retry_s)
    if reason == DUPLICATE_TRANSACTION:
        # About our question, not about the object: the next transaction has another UID.
        deliveries.not_asked(session, delivery, error=error, next_attempt_at=later)
    else:
        not_committed(session, delivery, error, settings=settings, now=now, at=later)
