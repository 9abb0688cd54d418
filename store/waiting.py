"""What waits: for how long already, and until when."""

from datetime import datetime, timedelta

from sqlalchemy import Text, func, select, type_coerce, update
from sqlalchemy.orm import Session

from store import audit
from store.schema import audit_events, deliveries, instances, jobs, results, studies
from store.states import DeliveryState, JobState

DELIVERY_STATE = type_coerce(deliveries.c.state, Text)
OLDEST = {
    "study": select(func.min(studies.c.first_received_at)).where(studies.c.state.in_(("RECEIVING", "READY"))),
    "job": select(func.min(jobs.c.created_at)).where(jobs.c.state.in_(("QUEUED", "RUNNING"))),
    "delivery": select(func.min(results.c.created_at)).join(deliveries).where(DELIVERY_STATE == "PENDING"),
    "commitment": select(func.min(results.c.created_at)).join(deliveries).where(DELIVERY_STATE == "SENT"),
}
STATES = {
    "study": studies.c.state,
    "instance": instances.c.state,
    "job": jobs.c.state,
    "delivery": deliveries.c.state,
}


def ages(session: Session, *, now: datetime) -> dict[str, timedelta]:
    """How long the oldest unfinished study, job, delivery and commitment waits; zero when none does."""
    since = {what: session.scalar(query) for what, query in OLDEST.items()}
    return {what: max(now - at, timedelta()) if at else timedelta() for what, at in since.items()}


def counts(session: Session) -> dict[tuple[str, str], int]:
    """Number of rows by kind and state; a state without rows is left out."""
    found: dict[tuple[str, str], int] = {}
    for what, column in STATES.items():
        query = select(type_coerce(column, Text), func.count()).group_by(column)
        found |= {(what, row[0]): row[1] for row in session.execute(query)}
    return found


def audit_rows(session: Session) -> int:
    """The number of the newest audit row: how many were ever written."""
    return session.scalar(select(func.max(audit_events.c.id))) or 0


def pull_forward(
    session: Session, *, now: datetime, delivery_wait: timedelta, job_wait: timedelta
) -> dict[str, int]:
    """Let everything be tried now that would wait longer than these times; return how many of each.

    The clock must have been set back since they began to wait.
    """
    rows = {
        "deliveries": session.execute(
            update(deliveries)
            .where(deliveries.c.state == DeliveryState.PENDING)
            .where(deliveries.c.next_attempt_at > now + delivery_wait)
            .values(next_attempt_at=now)
            .returning(deliveries.c.id)
        ),
        "jobs": session.execute(
            update(jobs)
            .where(jobs.c.state == JobState.QUEUED, jobs.c.not_before > now + job_wait)
            .values(not_before=now)
            .returning(jobs.c.id)
        ),
    }
    pulled = {what: len(found.all()) for what, found in rows.items()}
    if any(pulled.values()):
        audit.record(session, "clock.set_back", "failure", at=now, detail=pulled)
    return pulled
