"""Timed jobs: what is run again and again, how often, and how its runs ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from dicom_node.errors import NodeError, place_of
from dicom_node.runtime import Runtime
from store.errors import StoreUnavailable
from store.rows.scheduled_jobs import RunResult

log = structlog.get_logger()

RETRY_S = 60.0
"""A job that failed runs again after this time when its interval is longer."""


class Role(StrEnum):
    """The process that runs a job."""

    RECEIVER = "receiver"
    WORKER = "worker"


@dataclass(frozen=True)
class TimedJob:
    """A row of the table of timed jobs."""

    name: str
    role: Role
    interval_s: float
    """Seconds from the begin of a run to the next, or as soon as a longer run has ended."""
    jitter_s: float
    """The next run comes up to so many seconds later, so that jobs do not all run at once."""
    run: Callable[[], object]
    """What is done; an exception is a failed run."""


class JobRuns:
    """The runs of one job since its process started.

    Attributes:
        job: what is run.
        result: how the last run ended; None before the first has.
        error: why it failed, "" when it did not; not the message of a bug, which may quote a patient.
        failures: how many failed.
        repeat_at_s: when, on the steady clock, a failed run is to be repeated; None: at its interval.
        turned: whether the result is another one than before; who has noted it sets this back.
    """

    def __init__(self, job: TimedJob, runtime: Runtime) -> None:
        self.job = job
        self._runtime = runtime
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.success_at: datetime | None = None
        self.result: RunResult | None = None
        self.error: str | None = None
        self.failures = 0
        self.repeat_at_s: float | None = None
        self.turned = False

    def run(self) -> None:
        """Run the job once; whatever goes wrong is logged and counted, and the job will run again."""
        self.started_at = self._runtime.clock()
        error = self._run()
        self.finished_at, self.error = self._runtime.clock(), error or ""
        if error is None:
            self.success_at, self.repeat_at_s = self.finished_at, None
        else:
            self.failures += 1
            if self.job.interval_s > RETRY_S:
                self.repeat_at_s = self._runtime.steady_s() + RETRY_S
        result: RunResult = "success" if error is None else "failure"
        self.turned = self.turned or result != self.result
        self.result = result

    def _run(self) -> str | None:
        """Return what went wrong; None: nothing."""
        try:
            self.job.run()
        except (NodeError, StoreUnavailable) as error:
            log.warning("timed_job.failed", job=self.job.name, error=str(error))
            return str(error)
        except Exception as error:
            place = place_of(error)
            log.exception("timed_job.failed", job=self.job.name, place=place)
            return place
        return None
