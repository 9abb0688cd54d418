"""Unfinished rows of all kinds: how many there are, how old they are, and when they are tried again."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.audit_schema import audit_event_table
from store.db.schema import (
    commitment_report_table,
    delivery_table,
    job_table,
    row_count_table,
    study_table,
)
from store.db.states import DeliveryState, JobState, ReportState, StudyState

WAITING = {
    "study": (study_table.c.first_received_at, study_table.c.state, (StudyState.RECEIVING, StudyState.READY)),
    "job": (job_table.c.created_at, job_table.c.state, (JobState.QUEUED, JobState.RUNNING)),
    "delivery": (delivery_table.c.waiting_since, delivery_table.c.state, (DeliveryState.PENDING,)),
    "commitment": (delivery_table.c.waiting_since, delivery_table.c.state, (DeliveryState.SENT,)),
    "commitment_report": (
        commitment_report_table.c.created_at,
        commitment_report_table.c.state,
        (ReportState.PENDING,),
    ),
}
"""Of each kind of row: the column with the start of its waiting time, and the states in which it waits."""


def ages(session: Session, *, now: datetime) -> dict[str, timedelta]:
    """Return the waiting time of the oldest unfinished row of each kind; zero when there is none."""
    return {what: _age(session, what, now) for what in WAITING}


def counts(session: Session) -> dict[tuple[str, str], int]:
    """Return the number of rows by kind and state; a state without rows is left out."""
    query = select(row_count_table).where(row_count_table.c.number > 0)
    return {(row.what, row.state): row.number for row in session.execute(query)}


def audit_rows(session: Session) -> int:
    """Return the number of audit rows ever written, which is the id of the newest."""
    return session.scalar(select(func.max(audit_event_table.c.id))) or 0


def pull_forward(
    session: Session, *, now: datetime, delivery_wait: timedelta, job_wait: timedelta
) -> dict[str, int]:
    """Make rows due now whose next attempt is further ahead than these times; return how many of each kind.

    Called after the clock was set back: their next attempts were computed before.
    """
    rows = {
        "deliveries": session.execute(
            update(delivery_table)
            .where(delivery_table.c.state.in_((DeliveryState.PENDING, DeliveryState.SENT)))
            .where(delivery_table.c.next_attempt_at > now + delivery_wait)
            .values(next_attempt_at=now)
            .returning(delivery_table.c.id)
        ),
        "commitment_reports": session.execute(
            update(commitment_report_table)
            .where(commitment_report_table.c.state == ReportState.PENDING)
            .where(commitment_report_table.c.next_attempt_at > now + delivery_wait)
            .values(next_attempt_at=now)
            .returning(commitment_report_table.c.id)
        ),
        "jobs": session.execute(
            update(job_table)
            .where(job_table.c.state == JobState.QUEUED, job_table.c.not_before > now + job_wait)
            .values(not_before=now)
            .returning(job_table.c.id)
        ),
    }
    pulled = {what: len(found.all()) for what, found in rows.items()}
    if any(pulled.values()):
        audit_log.record(session, "clock.set_back", "failure", at=now, detail=pulled)
    return pulled


def _age(session: Session, what: str, now: datetime) -> timedelta:
    begin, state, waits = WAITING[what]
    # A query per state: each is the first entry of an index.
    since = [session.scalar(select(func.min(begin)).where(state == each)) for each in waits]
    known = [at for at in since if at is not None]
    return max(now - min(known), timedelta()) if known else timedelta()
