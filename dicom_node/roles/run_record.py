"""How the timed jobs of this process went, as rows that other processes can read."""

from collections.abc import Callable, Sequence
from datetime import datetime

from dicom_node.roles.timed_job import JobRuns, Role
from dicom_node.runtime import Runtime
from store.rows import scheduled_jobs
from store.rows.scheduled_jobs import ScheduledJob

NextRun = Callable[[str], datetime | None]
"""Tells by the name of a job when it runs next."""


class RunRecord:
    """Writes rows about jobs, in one transaction for all of them: a commit is an fsync."""

    NAME, INTERVAL_S = "record job runs", 10.0
    """Of the job that writes them."""

    def __init__(self, runtime: Runtime, role: Role) -> None:
        self.role = role
        self._database = runtime.database
        self._since = runtime.clock()
        self._runs: Sequence[JobRuns] = ()
        self._next_run: NextRun = lambda _: None
        self._written: dict[str, ScheduledJob] = {}
        self._written_failures: dict[str, int] = {}

    def follow(self, runs: Sequence[JobRuns], next_run: NextRun) -> None:
        """Say what there is to write about."""
        self._runs, self._next_run = runs, next_run

    @property
    def is_urgent(self) -> bool:
        """True when a job fails that did not, or the other way round, and no row says so yet."""
        return any(runs.turned for runs in self._runs)

    def write(self, *, stopped: bool = False) -> int:
        """Write what changed since the last time; return how many rows.

        Args:
            stopped: no job will run any more.

        Raises:
            StoreUnavailable: the database cannot be written; next time everything is.
        """
        for runs in self._runs:
            runs.turned = False
        totals = {runs.job.name: runs.failures for runs in self._runs}
        rows = [self._row(runs, totals[runs.job.name], stopped=stopped) for runs in self._runs]
        changed = [row for row in rows if row != self._written.get(row.name)]
        if changed:
            with self._database.transaction() as session:
                if not self._written:
                    scheduled_jobs.keep_only(session, self.role, list(totals))
                scheduled_jobs.record(session, self.role, changed)
        self._written |= {row.name: row for row in changed}
        self._written_failures = totals
        return len(changed)

    def _row(self, runs: JobRuns, failures: int, *, stopped: bool) -> ScheduledJob:
        return ScheduledJob(
            role=self.role,
            name=runs.job.name,
            interval_s=runs.job.interval_s,
            since=self._since,
            last_started_at=runs.started_at,
            last_finished_at=runs.finished_at,
            last_success_at=runs.success_at,
            last_result=runs.result,
            error=runs.error,
            failures=failures - self._written_failures.get(runs.job.name, 0),
            next_run_at=None if stopped else self._next_run(runs.job.name),
        )
