"""Storage commitment requests of peers to this node, and the N-EVENT-REPORTs that answer them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import RowMapping, func, insert, or_, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import commitment_report_table
from store.db.states import ReportState
from store.rows.deliveries import LONGEST_WAIT
from store.rows.queries import count_by_state, in_state, only_row

Reference = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""


@dataclass(frozen=True, kw_only=True)
class CommitmentReport:
    """The request of a peer, and the state of the report that answers it."""

    id: int
    transaction_uid: str
    peer_ae: str
    peer_ip: str
    items: Sequence[Reference]
    """The objects whose commitment the peer requests; emptied once reported or abandoned."""
    state: ReportState
    attempts: int
    next_attempt_at: datetime
    error: str | None
    created_at: datetime


class _Changes(TypedDict, total=False):
    """New values of columns besides `attempts`."""

    state: ReportState
    items: str
    next_attempt_at: datetime


def add(
    session: Session,
    transaction_uid: str,
    items: Sequence[Reference],
    *,
    peer_ae: str,
    peer_ip: str,
    next_attempt_at: datetime,
    now: datetime,
) -> CommitmentReport:
    """Record a peer's request; return the PENDING report that answers it.

    A peer that repeats a Transaction UID gets another report, about the objects it named last.
    """
    key = {"transaction_uid": transaction_uid, "peer_ae": peer_ae}
    values: dict[str, Any] = {"peer_ip": peer_ip, "items": audit_log.canonical_json(items), "attempts": 0}
    values |= {"next_attempt_at": next_attempt_at, "error": None, "created_at": now}
    row = session.execute(select(commitment_report_table).filter_by(**key)).one_or_none()
    if row is None:
        query = insert(commitment_report_table).values(**key, **values, state=ReportState.PENDING)
        report_id = session.execute(query.returning(commitment_report_table.c.id)).scalar_one()
    else:
        report_id = row.id
        if row.state is not ReportState.PENDING:
            values["state"] = ReportState.PENDING
        session.execute(update(commitment_report_table).filter_by(id=report_id).values(values))
    detail = {"transaction_uid": transaction_uid, "objects": len(items)}
    audit_log.record(session, "commitment.requested", at=now, peer_ae=peer_ae, peer_ip=peer_ip, detail=detail)
    return _get(session, report_id)


def count_pending(session: Session, peer_ae: str) -> int:
    """Return the number of PENDING reports to one AE title."""
    pending = in_state(commitment_report_table.c.state, ReportState.PENDING)
    query = select(func.count()).select_from(commitment_report_table).where(pending)
    return session.scalar(query.filter_by(peer_ae=peer_ae)) or 0


def due(session: Session, *, now: datetime, limit: int = 50) -> list[CommitmentReport]:
    """Return the PENDING reports to send now, oldest first."""
    at = commitment_report_table.c.next_attempt_at
    query = (
        select(commitment_report_table)
        .where(in_state(commitment_report_table.c.state, ReportState.PENDING))
        .where(or_(at <= now, at > now + LONGEST_WAIT))
        .order_by(commitment_report_table.c.id)
        .limit(limit)
    )
    return [_report(row) for row in session.execute(query).mappings()]


def reported(session: Session, report: CommitmentReport, *, now: datetime) -> None:
    """PENDING to REPORTED: the peer answered the report with success."""
    _finish_attempt(
        session, report, "reported", None, {"state": ReportState.REPORTED, "items": "[]"}, now=now
    )


def retry_later(
    session: Session, report: CommitmentReport, *, error: str, next_attempt_at: datetime, now: datetime
) -> None:
    """Stay PENDING: the attempt failed, the next one is at `next_attempt_at`."""
    _finish_attempt(session, report, "report_retry", error, {"next_attempt_at": next_attempt_at}, now=now)


def abandon(session: Session, report: CommitmentReport, *, error: str, now: datetime) -> None:
    """PENDING to DEAD: the peer refuses the report, or could not be reached for too long."""
    _finish_attempt(
        session, report, "report_dead", error, {"state": ReportState.DEAD, "items": "[]"}, now=now
    )


def counts(session: Session) -> dict[str, int]:
    """Return the number of reports in each state."""
    return count_by_state(session, "commitment_report", ReportState)


def _finish_attempt(
    session: Session,
    report: CommitmentReport,
    event: str,
    error: str | None,
    changes: _Changes,
    *,
    now: datetime,
) -> None:
    if _get(session, report.id).state is not ReportState.PENDING:
        return  # receiver and worker have both sent it
    attempts = report.attempts + 1
    query = update(commitment_report_table).filter_by(id=report.id)
    session.execute(query.values({**changes, "attempts": attempts, "error": error}))
    audit_log.record(
        session,
        f"commitment.{event}",
        "success" if event == "reported" else "failure",
        at=now,
        peer_ae=report.peer_ae,
        peer_ip=report.peer_ip,
        detail={"transaction_uid": report.transaction_uid, "attempts": attempts, "error": error},
    )


def _get(session: Session, report_id: int) -> CommitmentReport:
    query = select(commitment_report_table).where(commitment_report_table.c.id == report_id)
    return _report(only_row(session, query, f"commitment report {report_id}"))


def _report(row: RowMapping) -> CommitmentReport:
    items = [(sop_class, instance) for sop_class, instance in json.loads(row["items"])]
    return CommitmentReport(**{**row, "items": items})
