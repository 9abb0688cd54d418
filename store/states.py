"""What an instance, a study, a job and a delivery can be, and the moves between."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from store.errors import IllegalMove


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
    """The destination took it."""
    DEAD = "DEAD"
    """Parked: refused for good, or given up after too many attempts."""


# One table per enum: members of different enums compare equal when they are spelled alike.
LEGAL_MOVES: Mapping[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]] = {
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
        DeliveryState.PENDING: frozenset({DeliveryState.DELIVERED, DeliveryState.DEAD}),
        DeliveryState.DELIVERED: frozenset(),
        DeliveryState.DEAD: frozenset({DeliveryState.PENDING}),
    },
}

State = TypeVar("State", InstanceState, StudyState, JobState, DeliveryState)


def check_move(old: State, new: State) -> None:
    """Allow a legal move.

    Raises:
        IllegalMove: `LEGAL_MOVES` has no way from `old` to `new`.
    """
    if new not in LEGAL_MOVES[type(old)][old]:
        raise IllegalMove(f"{type(old).__name__}: {old} -> {new}")
