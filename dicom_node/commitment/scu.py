"""The worker's side of storage commitment: asking destinations, and reporting to peers that asked us."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydicom.uid import generate_uid
from pynetdicom import build_role, evt
from pynetdicom.presentation import build_context

from dicom_node.commitment.answers import not_committed, our_answer
from dicom_node.commitment.scp import answer_status
from dicom_node.delivery.backoff import next_attempt
from dicom_node.delivery.outbox import again_at, is_permanent
from dicom_node.network.commitment_messages import (
    REQUEST,
    SOP_CLASS,
    SOP_INSTANCE,
    SYNTAXES,
    answer_data_set,
    request_data_set,
)
from dicom_node.network.peer import Peer
from dicom_node.network.scu import (
    Accepted,
    NotAssociated,
    Outcome,
    Refused,
    Unreachable,
    associated,
    outcome_of,
)
from dicom_node.runtime import Runtime
from dicom_node.settings import Destination
from store.audit import audit_log
from store.rows import commitments, deliveries
from store.rows.commitments import Report
from store.rows.deliveries import Delivery

log = structlog.get_logger()

MOST_ASKS = 3
"""So often a destination is asked without an answer before it gets the object again."""
ANSWER_WAIT_S = 3.0
"""How long an association is kept open for the answer; most destinations open one of their own for it."""


def ask_due(runtime: Runtime, destination: Destination) -> int:
    """Ask a destination, once, for all that it took and did not yet confirm; return how many objects."""
    now = runtime.clock()
    with runtime.database.read() as session:
        waiting = deliveries.to_be_committed(session, now=now, destination=destination.name)
    silent = [each for each in waiting if each.asks >= MOST_ASKS]
    to_ask = [each for each in waiting if each.asks < MOST_ASKS]
    if silent:
        _send_again(runtime, silent, now)
    if to_ask and not runtime.stop.is_set():
        _ask(runtime, destination, to_ask, now)
    return len(to_ask)


def report_due(runtime: Runtime) -> int:
    """Report to peers that asked us for commitment, on an association of our own; return how many."""
    with runtime.database.read() as session:
        reports = commitments.due_reports(session, now=runtime.clock())
    for number, report in enumerate(reports):
        if runtime.stop.is_set():
            return number
        _report(runtime, report)
    return len(reports)


def _send_again(runtime: Runtime, silent: Sequence[Delivery], now: datetime) -> None:
    with runtime.database.transaction() as session:
        for delivery in silent:
            error = f"asked {delivery.asks} times for storage commitment, no answer"
            not_committed(session, delivery, error, settings=runtime.settings, now=now, at=now)


def _ask(runtime: Runtime, destination: Destination, about: Sequence[Delivery], now: datetime) -> None:
    """Record the request, then send it: an answer always finds its row, even after a crash in between."""
    transaction_uid = str(generate_uid(prefix=None))
    again = now + timedelta(seconds=runtime.settings.delivery.commitment_wait_s)
    with runtime.database.transaction() as session:
        commitments.ask(
            session, transaction_uid, about, destination=destination.name, again_at=again, now=now
        )
    outcome = _request(runtime, destination, transaction_uid, about)
    if not isinstance(outcome, Accepted):
        _not_asked(runtime, destination, transaction_uid, about, outcome)


def _request(
    runtime: Runtime, destination: Destination, transaction_uid: str, about: Sequence[Delivery]
) -> Outcome:
    """Send the request and wait a little: the answer may come on the same association."""
    answered, threads = threading.Event(), []

    def on_report(event: evt.Event) -> tuple[int, None]:
        threads.append(threading.current_thread())
        status = answer_status(event, runtime, Peer(ae_title=destination.ae_title, ip=destination.host))
        answered.set()
        return status, None

    context = build_context(SOP_CLASS, SYNTAXES)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, on_report)]
    ours, tls = runtime.settings.node.ae_title, runtime.settings.tls
    with associated(destination, [context], calling_ae=ours, tls=tls, evt_handlers=handlers) as association:
        if isinstance(association, NotAssociated):
            return association
        references = [(each.sop_class_uid, each.sop_instance_uid) for each in about]
        ds = request_data_set(transaction_uid, references)
        try:
            answer, _ = association.send_n_action(ds, REQUEST, SOP_CLASS, SOP_INSTANCE)
        except RuntimeError:
            return Unreachable(why="the association ended before the request was sent")
        outcome = outcome_of(answer)
        if isinstance(outcome, Accepted):
            answered.wait(min(ANSWER_WAIT_S, destination.timeout_s))
        for thread in threads:
            thread.join()  # pynetdicom cannot release while it serves
        return outcome


def _not_asked(
    runtime: Runtime,
    destination: Destination,
    transaction_uid: str,
    about: Sequence[Delivery],
    outcome: Outcome,
) -> None:
    """Ask later, or park what the destination will never confirm."""
    now, error = runtime.clock(), f"not asked for storage commitment: {outcome}"
    status = outcome.status if isinstance(outcome, Refused) else None
    detail = {"transaction_uid": transaction_uid, "destination": destination.name, "error": error}
    with runtime.database.transaction() as session:
        audit_log.record(session, "commitment.not_asked", "failure", at=now, detail=detail)
        for delivery in about:
            again = again_at(delivery, now=now, policy=runtime.settings.delivery)
            if again is None or is_permanent(outcome):
                deliveries.park(session, delivery, error=error, status=status, now=now)
            else:
                deliveries.not_asked(session, delivery, error=error, next_attempt_at=again)
    log.warning("commitment.not_asked", to=destination.name, objects=len(about), error=error)


def _report(runtime: Runtime, report: Report) -> None:
    peer = _peer(runtime, report)
    outcome = (
        Unreachable(why="no port in [[peers]] to report to")
        if peer is None
        else _send_report(runtime, peer, report)
    )
    now = runtime.clock()
    with runtime.database.transaction() as session:
        if isinstance(outcome, Accepted):
            commitments.reported(session, report, now=now)
            return
        again = next_attempt(
            attempts=report.attempts + 1,
            waiting_since=report.created_at,
            now=now,
            policy=runtime.settings.delivery,
            key=f"{report.peer_ae}/{report.transaction_uid}",
        )
        if peer is None or again is None or is_permanent(outcome):
            commitments.give_up_report(session, report, error=str(outcome), now=now)
        else:
            commitments.report_later(session, report, error=str(outcome), next_attempt_at=again, now=now)


def _peer(runtime: Runtime, report: Report) -> Destination | None:
    """Return where to report to: the peer's port of the settings, on the machine that asked."""
    for each in runtime.settings.peers:
        if each.ae_title == report.peer_ae and each.port:
            return Destination(
                name="peer", ae_title=each.ae_title, host=report.peer_ip, port=each.port, tls=each.tls
            )
    return None


def _send_report(runtime: Runtime, peer: Destination, report: Report) -> Outcome:
    with runtime.database.read() as session:
        event_type, ds = answer_data_set(our_answer(session, report))
    roles: list[Any] = [build_role(SOP_CLASS, scp_role=True)]
    ours, tls = runtime.settings.node.ae_title, runtime.settings.tls
    with associated(
        peer, [build_context(SOP_CLASS, SYNTAXES)], calling_ae=ours, tls=tls, ext_neg=roles
    ) as association:
        if isinstance(association, NotAssociated):
            return association
        try:
            answer, _ = association.send_n_event_report(ds, event_type, SOP_CLASS, SOP_INSTANCE)
        except RuntimeError:
            return Unreachable(why="the association ended before the report was sent")
        return outcome_of(answer)
