"""What each kind of row can be, how it may begin, and the moves between.

The database enforces the same tables by triggers (migrations); a test compares the two.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from store.errors import IllegalTransition


class InstanceState(StrEnum):
    """What became of one received instance."""

    RECEIVED = "RECEIVED"
    """Stored; to be analysed."""
    MEASURED = "MEASURED"
    """At least one M-mode strip of it gave numbers."""
    NOT_MEASURED = "NOT_MEASURED"
    """Analysed without numbers; the row says why."""
    KEPT = "KEPT"
    """Stored and never analysed: SR, PR and the like."""
    OWN = "OWN"
    """One of our own results, coming back from a PACS."""


class StudyState(StrEnum):
    """Where a study is on its way from the scanner to the PACS."""

    RECEIVING = "RECEIVING"
    """Images may still come."""
    READY = "READY"
    """Complete; a job waits."""
    PROCESSING = "PROCESSING"
    """A worker has its job."""
    DONE = "DONE"
    """Every image was analysed and its results are in the outbox."""
    FAILED = "FAILED"
    """Its job was given up."""


class JobState(StrEnum):
    """Where the analysis of one study revision is."""

    QUEUED = "QUEUED"
    """Waits for a worker."""
    RUNNING = "RUNNING"
    """A worker has it."""
    DONE = "DONE"
    """Finished."""
    DEAD = "DEAD"
    """Given up after too many attempts."""


class DeliveryState(StrEnum):
    """Where one result is on its way to one destination."""

    PENDING = "PENDING"
    """To be sent, now or at its next attempt."""
    DELIVERED = "DELIVERED"
    """The destination took it, and is not asked for more."""
    SENT = "SENT"
    """The destination took it; it is asked to confirm that it keeps it (storage commitment)."""
    COMMITTED = "COMMITTED"
    """The destination confirmed that it keeps it."""
    DEAD = "DEAD"
    """Parked: refused for good, or given up after too long."""


class RequestState(StrEnum):
    """Where a storage commitment request of ours is."""

    ASKED = "ASKED"
    """Recorded, and perhaps sent; an answer counts whenever it comes."""
    ANSWERED = "ANSWERED"
    """The destination has reported."""


class ReportState(StrEnum):
    """Where the answer to a peer's storage commitment request is."""

    PENDING = "PENDING"
    """To be reported, now or at its next attempt."""
    REPORTED = "REPORTED"
    """The peer took the report."""
    DEAD = "DEAD"
    """Given up: the peer cannot be reached with it."""


# One table per enum: members of different enums compare equal when they are spelled alike.
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
        # A peer that asks once more in the same transaction gets another report.
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
    """Allow a legal move.

    Raises:
        IllegalMove: `LEGAL_MOVES` has no way from `old` to `new`.
    """
    if new not in LEGAL_TRANSITIONS[type(old)][old]:
        raise IllegalTransition(f"{type(old).__name__}: {old} -> {new}")
