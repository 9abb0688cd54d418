"""Storage commitment: what we asked of destinations, and what peers asked of us."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, insert, or_, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import commitment_item_table, commitment_report_table, commitment_request_table
from store.db.states import ReportState, RequestState, check_transition
from store.errors import NotFound
from store.rows import deliveries
from store.rows.deliveries import LONGEST_WAIT, Delivery

Reference = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What we asked of a destination in one transaction."""

    transaction_uid: str
    destination: str
    """The name of the destination in the settings."""
    state: RequestState
    asked_at: datetime
    answered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a peer asked of us in one transaction."""

    id: int
    transaction_uid: str
    peer_ae: str
    peer_ip: str
    items: Sequence[Reference]
    state: ReportState
    attempts: int
    next_attempt_at: datetime
    error: str | None
    created_at: datetime


def ask(
    session: Session,
    transaction_uid: str,
    about: Sequence[Delivery],
    *,
    destination: str,
    again_at: datetime,
    now: datetime,
) -> None:
    """Record a request, before it is sent; without an answer its deliveries are asked for again at a time."""
    row = {"transaction_uid": transaction_uid, "destination": destination}
    session.execute(insert(commitment_request_table), {**row, "state": RequestState.ASKED, "asked_at": now})
    for delivery in about:
        item = {"transaction_uid": transaction_uid, "delivery_id": delivery.id}
        session.execute(insert(commitment_item_table), item)
        deliveries.asked(session, delivery, ask_again_at=again_at)
    audit_log.record(session, "commitment.asked", at=now, detail={**row, "objects": len(about)})


def request(session: Session, transaction_uid: str) -> Request | None:
    """Our request of that transaction, if there is one."""
    query = select(commitment_request_table).where(
        commitment_request_table.c.transaction_uid == transaction_uid
    )
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else Request(**row)


def asked_for(session: Session, transaction_uid: str) -> list[Delivery]:
    """The deliveries that a request of ours is about, as they are now."""
    numbers = select(commitment_item_table.c.delivery_id)
    return deliveries.by_id(
        session, numbers.where(commitment_item_table.c.transaction_uid == transaction_uid)
    )


def answered(session: Session, asked: Request, *, kept: int, failed: int, now: datetime) -> None:
    """The destination has reported on a request of ours.

    Raises:
        IllegalMove: it had done so before.
    """
    check_transition(asked.state, RequestState.ANSWERED)
    query = update(commitment_request_table).where(
        commitment_request_table.c.transaction_uid == asked.transaction_uid
    )
    session.execute(query.values(state=RequestState.ANSWERED, answered_at=now))
    audit_log.record(
        session,
        "commitment.answered",
        "failure" if failed else "success",
        at=now,
        detail={
            "transaction_uid": asked.transaction_uid,
            "destination": asked.destination,
            "kept": kept,
            "failed": failed,
        },
    )


def request_report(
    session: Session,
    transaction_uid: str,
    items: Sequence[Reference],
    *,
    peer_ae: str,
    peer_ip: str,
    next_attempt_at: datetime,
    now: datetime,
) -> Report:
    """A peer asks whether we keep these; return the report that it is owed.

    A peer that asks again in the same transaction gets another report, on what it asked last.
    """
    key = {"transaction_uid": transaction_uid, "peer_ae": peer_ae}
    values: dict[str, Any] = {"peer_ip": peer_ip, "items": audit_log.canonical_json(items), "attempts": 0}
    values |= {"next_attempt_at": next_attempt_at, "error": None, "created_at": now}
    row = session.execute(select(commitment_report_table).filter_by(**key)).one_or_none()
    if row is None:
        made = insert(commitment_report_table).values(**key, **values, state=ReportState.PENDING)
        number = session.execute(made.returning(commitment_report_table.c.id)).scalar_one()
    else:
        number = row.id
        if row.state is not ReportState.PENDING:
            values["state"] = ReportState.PENDING
        session.execute(update(commitment_report_table).filter_by(id=number).values(values))
    detail = {"transaction_uid": transaction_uid, "objects": len(items)}
    audit_log.record(session, "commitment.requested", at=now, peer_ae=peer_ae, peer_ip=peer_ip, detail=detail)
    return report(session, number)


def report(session: Session, number: int) -> Report:
    """One report that is owed or was given.

    Raises:
        NotFound: no such report.
    """
    query = select(commitment_report_table).where(commitment_report_table.c.id == number)
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no commitment report {number}")
    return _report(row)


def owed(session: Session, peer_ae: str) -> int:
    """Number of reports that a peer waits for."""
    query = select(func.count()).select_from(commitment_report_table)
    return session.scalar(query.filter_by(peer_ae=peer_ae, state=ReportState.PENDING)) or 0


def due_reports(session: Session, *, now: datetime, limit: int = 50) -> list[Report]:
    """Reports that may be sent now, oldest first."""
    at = commitment_report_table.c.next_attempt_at
    query = (
        select(commitment_report_table)
        .where(
            commitment_report_table.c.state == ReportState.PENDING, or_(at <= now, at > now + LONGEST_WAIT)
        )
        .order_by(commitment_report_table.c.id)
        .limit(limit)
    )
    return [_report(row) for row in session.execute(query).mappings()]


def reported(session: Session, found: Report, *, now: datetime) -> None:
    """The peer took the report; what it asked for is forgotten."""
    _leave(session, found, now, "reported", state=ReportState.REPORTED, error=None, items="[]")


def report_later(
    session: Session, found: Report, *, error: str, next_attempt_at: datetime, now: datetime
) -> None:
    """The peer did not take the report; try again at a time."""
    _leave(session, found, now, "report_retry", error=error, next_attempt_at=next_attempt_at)


def give_up_report(session: Session, found: Report, *, error: str, now: datetime) -> None:
    """The peer cannot be reached with the report; what it asked for is forgotten."""
    _leave(session, found, now, "report_dead", state=ReportState.DEAD, error=error, items="[]")


def counts(session: Session) -> dict[str, int]:
    """Number of reports to peers in each state."""
    query = select(commitment_report_table.c.state, func.count().label("number"))
    rows = session.execute(query.group_by(commitment_report_table.c.state))
    found = {row.state: row.number for row in rows}
    return {state.value: found.get(state, 0) for state in ReportState}


def _leave(session: Session, found: Report, now: datetime, event: str, **changes: Any) -> None:
    if report(session, found.id).state is not ReportState.PENDING:
        return  # receiver and worker may both have reported
    values = {"attempts": found.attempts + 1, **changes}
    session.execute(update(commitment_report_table).filter_by(id=found.id).values(values))
    audit_log.record(
        session,
        f"commitment.{event}",
        "success" if event == "reported" else "failure",
        at=now,
        peer_ae=found.peer_ae,
        peer_ip=found.peer_ip,
        detail={
            "transaction_uid": found.transaction_uid,
            "attempts": found.attempts + 1,
            "error": changes["error"],
        },
    )


def _report(row: RowMapping) -> Report:
    items = [(sop_class, instance) for sop_class, instance in json.loads(row["items"])]
    return Report(**{**row, "items": items})
