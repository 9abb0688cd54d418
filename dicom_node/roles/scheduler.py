"""APScheduler, told to plan from now, and a watch that a changed clock does not put to sleep.

APScheduler waits for times of day. When the clock is set back by an hour, each of them is an hour
away, and the wait itself was counted before. So a small thread looks twice a second, by a clock that
nobody can set, whether that happened, and wakes every job. It is the one thing that cannot be a job.
"""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from dicom_node.roles.clock_watch import TOLERANCE, origin
from dicom_node.roles.run_record import RunRecord
from dicom_node.roles.timed_job import JobRuns, TimedJob
from dicom_node.runtime import Runtime
from store.errors import StoreError

log = structlog.get_logger()

FIRST_RUN_S = 1.0
"""The first run of a job comes this long after the start, or after its interval if that is shorter."""
LOOK_S = 0.5


class Every(BaseTrigger):
    """Plans the next run from now on, however many were missed.

    `IntervalTrigger` counts through every run that was missed: after 30 days, 2.6 million of a job
    that runs each second.
    """

    def __init__(self, job: TimedJob) -> None:
        self._interval_s = job.interval_s
        self._jitter_s = job.jitter_s
        self._random = random.Random(job.name)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the time of the next run; APScheduler's signature."""
        wait_s = self._interval_s if previous_fire_time else min(FIRST_RUN_S, self._interval_s)
        return now + timedelta(seconds=wait_s + self._random.uniform(0, self._jitter_s))


class Scheduler:
    """Runs the timed jobs of a process, each in a thread, so that one that hangs delays only itself."""

    def __init__(self, runtime: Runtime, jobs: Sequence[TimedJob], record: RunRecord) -> None:
        self._runtime = runtime
        self._record = record
        self._runs = {job.name: JobRuns(job, runtime) for job in jobs}
        pool = ThreadPoolExecutor(len(jobs), {"thread_name_prefix": "timed job"})
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            executors={"default": pool},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._jobs = {
            name: self._scheduler.add_job(runs.run, Every(runs.job), id=name, name=name)
            for name, runs in self._runs.items()
        }
        # Not by the scheduler: its lock is held while it waits for jobs to end, this one among them.
        record.follow(list(self._runs.values()), lambda name: self._jobs[name].next_run_time)
        self._stop = Event()
        self._watch = Thread(target=self._watch_clock, name="scheduler watch", daemon=True)
        self._origin = origin(runtime)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()
        self._watch.start()

    def shutdown(self) -> None:
        """Start no job any more, let every one that runs come to its end, and write how they went."""
        self._stop.set()
        self._watch.join()
        self._scheduler.shutdown(wait=True)
        try:
            self._record.write(stopped=True)
        except StoreError as error:
            log.warning("timed_job.not_recorded", error=str(error))

    def _watch_clock(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self._wake(self._must_run_now())
            except Exception:
                log.exception("scheduler.watch_failed")

    def _wake(self, names: Iterable[str]) -> None:
        for name in names:
            self._runs[name].repeat_at_s = None
            self._jobs[name].modify(next_run_time=self._runtime.clock())

    def _must_run_now(self) -> list[str]:
        """Return the jobs that must not wait for the time that APScheduler has planned."""
        before, self._origin = self._origin, origin(self._runtime)
        if before - self._origin > TOLERANCE:
            log.info("scheduler.clock_set_back", seconds=(before - self._origin).total_seconds())
            return list(self._jobs)
        if self._origin - before > TOLERANCE:
            self._scheduler.wakeup()  # it finds out itself what was missed
            return []
        return [name for name, runs in self._runs.items() if self._is_late(runs)]

    def _is_late(self, runs: JobRuns) -> bool:
        """Tell whether a failed run is to be repeated, rows are to be written, or the plan is too far off."""
        if runs.repeat_at_s is not None and self._runtime.steady_s() >= runs.repeat_at_s:
            return True
        if runs.job.name == RunRecord.NAME and self._record.is_urgent:
            return True
        # Planned by a time that was read just before the clock was set back.
        longest = timedelta(seconds=runs.job.interval_s + runs.job.jitter_s) + TOLERANCE
        planned: datetime = self._jobs[runs.job.name].next_run_time
        return planned - self._runtime.clock() > longest
