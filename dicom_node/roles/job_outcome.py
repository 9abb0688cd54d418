"""What becomes of a job that did not go through: its next state, as soon as the store can be written."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from dicom_node.runtime import Runtime
from dicom_node.settings.sections import JobSettings
from store.errors import StoreUnavailable
from store.rows import jobs
from store.rows.jobs import Job

log = structlog.get_logger()

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
"""Between two attempts to write to a database that cannot be used, doubling."""
LONGEST_POSTPONED_S = 3600.0
MAX_POSTPONED = 200
MOST_DOUBLINGS = 20


def record_transition(runtime: Runtime, transition: Callable[..., None]) -> None:
    """Record what became of a job as soon as the store can be written.

    If the worker is stopped before, the row stays RUNNING and the next start queues it again.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            with runtime.database.transaction() as session:
                transition(session, now=runtime.clock())
        except StoreUnavailable as error:
            log.warning("worker.waits", error=str(error), again_in_s=wait_s)
            if runtime.stop.wait(wait_s):
                return
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        else:
            return


def retry_or_fail(session: Session, *, job: Job, error: str, policy: JobSettings, now: datetime) -> None:
    """Queue a failed job again after a while, or give it up after its last attempt."""
    if job.attempts >= policy.max_attempts:
        jobs.fail(session, job, error=error, now=now)
    else:
        jobs.retry(session, job, error=error, not_before=now + timedelta(seconds=policy.retry_s), now=now)


def postpone_or_fail(session: Session, *, job: Job, error: str, policy: JobSettings, now: datetime) -> None:
    """Put a job off, for longer each time, while disk or database cannot be used.

    After `MAX_POSTPONED` times, which takes more than a week, it fails: then it is not the disk either.
    """
    if job.postponed >= MAX_POSTPONED:
        jobs.fail(session, job, error=f"put off {job.postponed} times: {error}", now=now)
        return
    wait_s = min(policy.retry_s * 2 ** min(job.postponed, MOST_DOUBLINGS), LONGEST_POSTPONED_S)
    jobs.postpone(session, job, error=error, not_before=now + timedelta(seconds=wait_s), now=now)
