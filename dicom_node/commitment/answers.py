"""Answers to storage commitment requests: those of destinations become delivery states, ours are computed."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from dicom_node.delivery.backoff import is_overdue
from dicom_node.delivery.outbox import again_at
from dicom_node.network.commitment_messages import CommitmentAnswer, FailureReason, answer_for
from dicom_node.network.peer import Peer
from dicom_node.settings import Settings
from store.audit import audit_log
from store.db.database import Database
from store.db.states import DeliveryState, RequestState
from store.rows import commitment_requests, delivery_transitions, instances
from store.rows.commitment_reports import CommitmentReport
from store.rows.deliveries import Delivery

log = structlog.get_logger()

PERMANENT = frozenset({FailureReason.CLASS_INSTANCE_CONFLICT, FailureReason.CLASS_NOT_SUPPORTED})
"""Failure Reasons for which the delivery is parked; after any other one it is tried again."""


def take_answer(
    database: Database, settings: Settings, answer: CommitmentAnswer, *, peer: Peer, now: datetime
) -> bool:
    """Apply the answer of a destination to its deliveries.

    The first answer to a request counts, however late; a repeated one changes nothing.

    Returns:
        False if no such request was sent to the peer's AE title.

    Raises:
        StoreUnavailable: the database cannot be written now; the peer has to send the answer again.
    """
    with database.transaction() as session:
        request = commitment_requests.get(session, answer.transaction_uid)
        if request is None or peer.ae_title not in _ae_titles(settings, request.destination):
            detail = {"transaction_uid": answer.transaction_uid}
            audit_log.record(session, "commitment.unknown", "refused", at=now, **peer.columns, detail=detail)
            return False
        if request.state is RequestState.ASKED:
            kept, failed = len(answer.kept), len(answer.failed)
            commitment_requests.answered(session, request, kept=kept, failed=failed, now=now)
            for delivery in commitment_requests.deliveries_of(session, answer.transaction_uid):
                _apply(session, delivery, answer, settings=settings, now=now)
    log.info("commitment.answered", to=request.destination, kept=len(answer.kept), failed=len(answer.failed))
    return True


def our_answer(session: Session, report: CommitmentReport) -> CommitmentAnswer:
    """Return the answer to a peer's request by the files that exist now."""
    stored = instances.stored_sop_classes(session, [instance for _, instance in report.items])
    return answer_for(report.transaction_uid, report.items, stored)


def not_committed(
    session: Session, delivery: Delivery, error: str, *, settings: Settings, now: datetime, at: datetime
) -> None:
    """Send an object again at `at`, or park its delivery after `give_up_hours`."""
    if is_overdue(waiting_since=delivery.waiting_since, now=now, policy=settings.delivery):
        delivery_transitions.park(session, delivery, error=error, status=None, now=now)
    else:
        delivery_transitions.resend(session, delivery, error=error, next_attempt_at=at, now=now)


def _ae_titles(settings: Settings, destination: str) -> set[str]:
    return {each.ae_title for each in settings.destinations if each.name == destination}


def _apply(
    session: Session, delivery: Delivery, answer: CommitmentAnswer, *, settings: Settings, now: datetime
) -> None:
    reference = (delivery.sop_class_uid, delivery.sop_instance_uid)
    reason = answer.failed.get(reference)
    if delivery.state is not DeliveryState.SENT:
        return  # another transaction was answered before, or the object is being sent again
    if reason is not None:
        _not_kept(session, delivery, reason, settings=settings, now=now)
    elif reference in answer.kept:
        delivery_transitions.committed(session, delivery, now=now)


def _not_kept(
    session: Session, delivery: Delivery, reason: int, *, settings: Settings, now: datetime
) -> None:
    error = f"not committed, failure reason 0x{reason:04X}"
    if reason in PERMANENT:
        delivery_transitions.park(session, delivery, error=error, status=reason, now=now)
        return
    again = again_at(delivery, now=now, policy=settings.delivery)
    later = again or now + timedelta(seconds=settings.delivery.max_retry_s)
    if reason == FailureReason.DUPLICATE_TRANSACTION:
        # Of the request, not of the object: the next request has another Transaction UID.
        delivery_transitions.commitment_not_requested(session, delivery, error=error, next_attempt_at=later)
    else:
        not_committed(session, delivery, error, settings=settings, now=now, at=later)
