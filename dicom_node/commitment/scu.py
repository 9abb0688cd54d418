"""Storage commitment in the worker: N-ACTION requests to destinations, N-EVENT-REPORTs to peers."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from pydicom.uid import generate_uid
from pynetdicom import build_role, evt
from pynetdicom.presentation import build_context

from dicom_node.commitment.answers import not_committed, our_answer
from dicom_node.commitment.scp import answer_status
from dicom_node.delivery.backoff import next_attempt
from dicom_node.delivery.outbox import again_at, is_permanent
from dicom_node.network.commitment_messages import (
    ACTION_TYPE_REQUEST,
    SOP_CLASS,
    SOP_INSTANCE,
    SYNTAXES,
    answer_data_set,
    request_data_set,
)
from dicom_node.network.outcomes import Accepted, NotAssociated, Outcome, Refused, Unreachable
from dicom_node.network.peer import Peer
from dicom_node.network.requestor import exchange, open_association
from dicom_node.runtime import Runtime
from dicom_node.settings.sections import Destination
from store.audit import audit_log
from store.rows import commitment_reports, commitment_requests, deliveries, delivery_transitions
from store.rows.commitment_reports import CommitmentReport
from store.rows.deliveries import Delivery

log = structlog.get_logger()

MAX_REQUESTS = 3
"""Requests without an answer, after which the object itself is sent again."""
ANSWER_WAIT_S = 3.0
"""How long the association of a request stays open for the answer; most destinations open another one."""


def ask_due(runtime: Runtime, destination: Destination) -> int:
    """Request commitment of the SENT objects of a destination that are due; return how many objects."""
    now = runtime.clock()
    with runtime.database.read() as session:
        due = deliveries.to_be_committed(session, now=now, destination=destination.name)
    unanswered = [each for each in due if each.asks >= MAX_REQUESTS]
    requested = [each for each in due if each.asks < MAX_REQUESTS]
    if unanswered:
        _send_again(runtime, unanswered, now)
    if requested and not runtime.stop.is_set():
        _ask(runtime, destination, requested, now)
    return len(requested)


def report_due(runtime: Runtime) -> int:
    """Send the due reports to peers, each on an association of its own; return how many."""
    with runtime.database.read() as session:
        reports = commitment_reports.due(session, now=runtime.clock())
    for number, report in enumerate(reports):
        if runtime.stop.is_set():
            return number
        _report(runtime, report)
    return len(reports)


def _send_again(runtime: Runtime, unanswered: Sequence[Delivery], now: datetime) -> None:
    with runtime.database.transaction() as session:
        for delivery in unanswered:
            error = f"asked {delivery.asks} times for storage commitment, no answer"
            not_committed(session, delivery, error, settings=runtime.settings, now=now, at=now)


def _ask(runtime: Runtime, destination: Destination, requested: Sequence[Delivery], now: datetime) -> None:
    """Record a request, then send it: the answer finds its row even if this process dies in between."""
    transaction_uid = str(generate_uid(prefix=None))
    repeat_at = now + timedelta(seconds=runtime.settings.delivery.commitment_wait_s)
    with runtime.database.transaction() as session:
        commitment_requests.add(
            session, transaction_uid, requested, destination=destination.name, repeat_at=repeat_at, now=now
        )
    outcome = _request(runtime, destination, transaction_uid, requested)
    if not isinstance(outcome, Accepted):
        _not_asked(runtime, destination, transaction_uid, requested, outcome)


def _request(
    runtime: Runtime, destination: Destination, transaction_uid: str, requested: Sequence[Delivery]
) -> Outcome:
    """Send an N-ACTION request; wait up to `ANSWER_WAIT_S` for an answer on the same association."""
    answered, threads = threading.Event(), []

    def on_report(event: evt.Event) -> tuple[int, None]:
        threads.append(threading.current_thread())
        status = answer_status(event, runtime, Peer(ae_title=destination.ae_title, ip=destination.host))
        answered.set()
        return status, None

    context = build_context(SOP_CLASS, SYNTAXES)
    handlers = [(evt.EVT_N_EVENT_REPORT, on_report)]
    calling_ae, tls = runtime.settings.node.ae_title, runtime.settings.tls
    with open_association(
        destination, [context], calling_ae=calling_ae, tls=tls, handlers=handlers
    ) as association:
        if isinstance(association, NotAssociated):
            return association
        references = [(each.sop_class_uid, each.sop_instance_uid) for each in requested]
        ds = request_data_set(transaction_uid, references)
        outcome = exchange(
            association,
            lambda: association.send_n_action(ds, ACTION_TYPE_REQUEST, SOP_CLASS, SOP_INSTANCE)[0],
        )
        if isinstance(outcome, Accepted):
            answered.wait(min(ANSWER_WAIT_S, destination.timeout_s))
        for thread in threads:
            thread.join()  # pynetdicom cannot release the association while it serves a request
        return outcome


def _not_asked(
    runtime: Runtime,
    destination: Destination,
    transaction_uid: str,
    requested: Sequence[Delivery],
    outcome: Outcome,
) -> None:
    """After a failed request, plan the next one, or park the deliveries when the failure is permanent."""
    now, error = runtime.clock(), f"not asked for storage commitment: {outcome}"
    status = outcome.status if isinstance(outcome, Refused) else None
    detail = {"transaction_uid": transaction_uid, "destination": destination.name, "error": error}
    with runtime.database.transaction() as session:
        audit_log.record(session, "commitment.not_asked", "failure", at=now, detail=detail)
        for delivery in requested:
            again = again_at(delivery, now=now, policy=runtime.settings.delivery)
            if again is None or is_permanent(outcome):
                delivery_transitions.park(session, delivery, error=error, status=status, now=now)
            else:
                delivery_transitions.commitment_not_requested(
                    session, delivery, error=error, next_attempt_at=again
                )
    log.warning("commitment.not_asked", to=destination.name, objects=len(requested), error=error)


def _report(runtime: Runtime, report: CommitmentReport) -> None:
    peer = _peer(runtime, report)
    outcome = (
        Unreachable(why="no port in [[peers]] to report to")
        if peer is None
        else _send_report(runtime, peer, report)
    )
    now = runtime.clock()
    with runtime.database.transaction() as session:
        if isinstance(outcome, Accepted):
            commitment_reports.reported(session, report, now=now)
            return
        again = next_attempt(
            attempts=report.attempts + 1,
            waiting_since=report.created_at,
            now=now,
            policy=runtime.settings.delivery,
            key=f"{report.peer_ae}/{report.transaction_uid}",
        )
        if peer is None or again is None or is_permanent(outcome):
            commitment_reports.abandon(session, report, error=str(outcome), now=now)
        else:
            commitment_reports.retry_later(
                session, report, error=str(outcome), next_attempt_at=again, now=now
            )


def _peer(runtime: Runtime, report: CommitmentReport) -> Destination | None:
    """Return the peer with its port from the settings and the address from which it sent the request."""
    for each in runtime.settings.peers:
        # A title with escaped bytes can call, but pynetdicom cannot call it.
        if each.ae_title == report.peer_ae and each.port and "\\" not in each.ae_title:
            return Destination(
                name="peer", ae_title=each.ae_title, host=report.peer_ip, port=each.port, tls=each.tls
            )
    return None


def _send_report(runtime: Runtime, peer: Destination, report: CommitmentReport) -> Outcome:
    with runtime.database.read() as session:
        event_type, ds = answer_data_set(our_answer(session, report))
    context, roles = build_context(SOP_CLASS, SYNTAXES), [build_role(SOP_CLASS, scp_role=True)]
    calling_ae, tls = runtime.settings.node.ae_title, runtime.settings.tls
    with open_association(peer, [context], calling_ae=calling_ae, tls=tls, roles=roles) as association:
        if isinstance(association, NotAssociated):
            return association
        return exchange(
            association,
            lambda: association.send_n_event_report(ds, event_type, SOP_CLASS, SOP_INSTANCE)[0],
        )
