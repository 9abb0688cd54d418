"""A clock that is set back by an hour must not make anything wait an hour longer."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from dicom_node.settings import Settings
from store.db.database import Database
from store.rows import backlog

log = structlog.get_logger()

TOLERANCE = timedelta(seconds=2)
"""Smaller steps are time servers at work."""


class ClockWatch:
    """Compares the clock with one that nobody can set.

    Args:
        database: where deliveries and jobs wait until a time.
        settings: how long they normally wait.
        clock: the time of day.
        steady_s: seconds from anywhere, never backwards.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._steady_s = steady_s
        longest_s = max(settings.delivery.max_retry_s, settings.delivery.commitment_wait_s)
        self._delivery_wait = timedelta(seconds=longest_s)
        self._job_wait = timedelta(seconds=settings.job.retry_s)
        self._origin: datetime | None = None

    def look(self) -> int:
        """Pull forward what would wait too long; return how many rows.

        At the first look, after who knows what: waits longer than the settings allow. Later, when
        the clock went back: every wait, because it began before the clock went back.
        """
        now = self._clock()
        origin = now - timedelta(seconds=self._steady_s())
        pulled = 0
        if self._origin is None:
            pulled = self._pull(now, self._delivery_wait, self._job_wait)
        elif self._origin - origin > TOLERANCE:
            log.warning("clock.set_back", seconds=(self._origin - origin).total_seconds())
            pulled = self._pull(now, timedelta(), timedelta())
        self._origin = origin
        return pulled

    def _pull(self, now: datetime, delivery_wait: timedelta, job_wait: timedelta) -> int:
        with self._database.transaction() as session:
            pulled = backlog.pull_forward(session, now=now, delivery_wait=delivery_wait, job_wait=job_wait)
        return sum(pulled.values())
