"""A clock that is set back by an hour must not make anything wait an hour longer."""

from datetime import datetime, timedelta

import structlog

from dicom_node.runtime import Runtime
from store.rows import backlog

log = structlog.get_logger()

TOLERANCE = timedelta(seconds=2)
"""Smaller steps are time servers at work."""


def origin(runtime: Runtime) -> datetime:
    """Return the time of day at which the steady clock began: another one once somebody sets the clock."""
    return runtime.clock() - timedelta(seconds=runtime.steady_s())


class ClockWatch:
    """Compares the time of day with a clock that nobody can set, and pulls waiting rows forward."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        settings = runtime.settings
        longest_s = max(settings.delivery.max_retry_s, settings.delivery.commitment_wait_s)
        self._delivery_wait = timedelta(seconds=longest_s)
        self._job_wait = timedelta(seconds=settings.job.retry_s)
        self._origin: datetime | None = None

    def look(self) -> int:
        """Pull forward what would wait too long; return how many rows.

        At the first look, after who knows what: waits longer than the settings allow. Later, when
        the clock went back: every wait, because it began before the clock went back.
        """
        found = origin(self._runtime)
        pulled = 0
        if self._origin is None:
            pulled = self._pull(self._delivery_wait, self._job_wait)
        elif self._origin - found > TOLERANCE:
            log.warning("clock.set_back", seconds=(self._origin - found).total_seconds())
            pulled = self._pull(timedelta(), timedelta())
        self._origin = found
        return pulled

    def _pull(self, delivery_wait: timedelta, job_wait: timedelta) -> int:
        now = self._runtime.clock()
        with self._runtime.database.transaction() as session:
            pulled = backlog.pull_forward(session, now=now, delivery_wait=delivery_wait, job_wait=job_wait)
        return sum(pulled.values())
