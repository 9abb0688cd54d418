"""The states of each kind of row, its initial states and its legal transitions.

Triggers of the database (migrations) enforce the same tables; a test compares the two.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from store.errors import IllegalTransition


class InstanceState(StrEnum):
    """Result of the analysis of one received instance."""

    RECEIVED = "RECEIVED"
    """Stored; not analysed yet."""
    MEASURED = "MEASURED"
    """At least one of its M-mode strips was measured."""
    NOT_MEASURED = "NOT_MEASURED"
    """Analysed without a measurement; the row holds the reason."""
    KEPT = "KEPT"
    """Stored and never analysed: SR, presentation states and other classes."""
    OWN = "OWN"
    """A result of this node that came back from a PACS."""


class StudyState(StrEnum):
    """Progress of a study revision."""

    RECEIVING = "RECEIVING"
    """Further images may come."""
    READY = "READY"
    """Complete; its job is QUEUED."""
    PROCESSING = "PROCESSING"
    """Its job is RUNNING."""
    DONE = "DONE"
    """Every image was analysed and the results are in the outbox."""
    FAILED = "FAILED"
    """Its job is DEAD."""


class JobState(StrEnum):
    """Progress of the analysis of one study revision."""

    QUEUED = "QUEUED"
    """Waits for a worker."""
    RUNNING = "RUNNING"
    """Claimed by a worker."""
    DONE = "DONE"
    """Finished."""
    DEAD = "DEAD"
    """Failed in as many attempts as the settings allow."""


class DeliveryState(StrEnum):
    """Progress of the delivery of one result to one destination."""

    PENDING = "PENDING"
    """To be sent at `next_attempt_at`."""
    DELIVERED = "DELIVERED"
    """C-STORE succeeded, and the destination is not asked for storage commitment."""
    SENT = "SENT"
    """C-STORE succeeded; storage commitment is not confirmed yet."""
    COMMITTED = "COMMITTED"
    """The destination confirmed storage commitment."""
    DEAD = "DEAD"
    """Parked: refused permanently, or unsuccessful for too long."""


class RequestState(StrEnum):
    """Progress of a storage commitment request from this node to a destination."""

    ASKED = "ASKED"
    """Recorded and perhaps sent; the N-EVENT-REPORT may come at any time."""
    ANSWERED = "ANSWERED"
    """The N-EVENT-REPORT has come."""


class ReportState(StrEnum):
    """Progress of the N-EVENT-REPORT that answers a peer's storage commitment request."""

    PENDING = "PENDING"
    """To be sent at `next_attempt_at`."""
    REPORTED = "REPORTED"
    """The peer answered it with success."""
    DEAD = "DEAD"
    """Abandoned: the peer refused it or could not be reached for too long."""


# One table per enum: members of different StrEnums with the same text compare equal.
LEGAL_TRANSITIONS: Mapping[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]] = {
    InstanceState: {
        InstanceState.RECEIVED: frozenset({InstanceState.MEASURED, InstanceState.NOT_MEASURED}),
        InstanceState.MEASURED: frozenset({InstanceState.MEASURED, InstanceState.NOT_MEASURED}),
        InstanceState.NOT_MEASURED: frozenset({InstanceState.MEASURED, InstanceState.NOT_MEASURED}),
        InstanceState.KEPT: frozenset(),
        InstanceState.OWN: frozenset(),
    },
    StudyState: {
        StudyState.RECEIVING: frozenset({StudyState.READY}),
        StudyState.READY: frozenset({StudyState.PROCESSING, StudyState.RECEIVING}),
        StudyState.PROCESSING: frozenset(
            {StudyState.DONE, StudyState.FAILED, StudyState.READY, StudyState.RECEIVING}
        ),
        StudyState.DONE: frozenset({StudyState.READY, StudyState.RECEIVING}),
        StudyState.FAILED: frozenset({StudyState.READY, StudyState.RECEIVING}),
    },
    JobState: {
        JobState.QUEUED: frozenset({JobState.RUNNING}),
        JobState.RUNNING: frozenset({JobState.DONE, JobState.DEAD, JobState.QUEUED}),
        JobState.DONE: frozenset(),
        JobState.DEAD: frozenset(),
    },
    DeliveryState: {
        DeliveryState.PENDING: frozenset({DeliveryState.DELIVERED, DeliveryState.SENT, DeliveryState.DEAD}),
        DeliveryState.DELIVERED: frozenset(),
        DeliveryState.SENT: frozenset({DeliveryState.COMMITTED, DeliveryState.PENDING, DeliveryState.DEAD}),
        DeliveryState.COMMITTED: frozenset(),
        DeliveryState.DEAD: frozenset({DeliveryState.PENDING}),
    },
    RequestState: {
        RequestState.ASKED: frozenset({RequestState.ANSWERED}),
        RequestState.ANSWERED: frozenset(),
    },
    ReportState: {
        ReportState.PENDING: frozenset({ReportState.REPORTED, ReportState.DEAD}),
        # A peer that repeats a Transaction UID gets another report.
        ReportState.REPORTED: frozenset({ReportState.PENDING}),
        ReportState.DEAD: frozenset({ReportState.PENDING}),
    },
}

FIRST_STATES: Mapping[type[StrEnum], frozenset[StrEnum]] = {
    InstanceState: frozenset({InstanceState.RECEIVED, InstanceState.KEPT, InstanceState.OWN}),
    StudyState: frozenset({StudyState.RECEIVING}),
    JobState: frozenset({JobState.QUEUED}),
    DeliveryState: frozenset({DeliveryState.PENDING}),
    RequestState: frozenset({RequestState.ASKED}),
    ReportState: frozenset({ReportState.PENDING}),
}

State = TypeVar("State", InstanceState, StudyState, JobState, DeliveryState, RequestState, ReportState)


def check_transition(old: State, new: State) -> None:
    """Check a transition against `LEGAL_TRANSITIONS`.

    Raises:
        IllegalTransition: it is not among them.
    """
    if new not in LEGAL_TRANSITIONS[type(old)][old]:
        raise IllegalTransition(f"{type(old).__name__}: {old} -> {new}")
