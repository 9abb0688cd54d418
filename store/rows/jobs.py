"""Jobs: the analysis of one revision of one study, claimed by one worker at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, exists, insert, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import job_table
from store.db.states import JobState, StudyState, check_transition
from store.errors import IllegalTransition, NotFound
from store.rows.study_transitions import study_row, transition_study


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as it was when it was read."""

    id: int
    study_uid: str
    revision: int
    state: JobState
    attempts: int
    """How often it was claimed, this time included."""
    not_before: datetime
    error: str | None
    """Why the last attempt failed."""
    created_at: datetime


def enqueue(session: Session, study_uid: str, *, revision: int, now: datetime) -> Job:
    """Queue the job of a study revision; the study must just have become READY."""
    values = {"study_uid": study_uid, "revision": revision, "state": JobState.QUEUED, "attempts": 0}
    query = insert(job_table).values(**values, not_before=now, created_at=now).returning(job_table)
    job = _job(session.execute(query).mappings().one())
    _record(session, "job.queued", job, now)
    return job


def claim(session: Session, *, now: datetime) -> Job | None:
    """Take the oldest job that is due, unless another job of its study is running; None if there is none."""
    running = job_table.alias()
    busy = exists().where(running.c.study_uid == job_table.c.study_uid, running.c.state == JobState.RUNNING)
    due = select(job_table.c.id).where(
        job_table.c.state == JobState.QUEUED, job_table.c.not_before <= now, ~busy
    )
    number = session.scalar(due.order_by(job_table.c.id).limit(1))
    if number is None:
        return None
    job = _write(session, number, JobState.RUNNING, attempts=job_table.c.attempts + 1)
    _record(session, "job.claimed", job, now)
    _study_follows(session, job, StudyState.READY, StudyState.PROCESSING, now)
    return job


def finish(session: Session, job: Job, *, now: datetime) -> None:
    """The job is done, and with it the study, unless a late image has reopened it.

    Raises:
        NotFound: no such job.
        IllegalMove: the job is no longer this worker's.
    """
    done = _leave(session, job, JobState.DONE)
    _record(session, "job.done", done, now)
    _study_follows(session, job, StudyState.PROCESSING, StudyState.DONE, now)


def release(session: Session, job: Job, *, now: datetime) -> None:
    """Put a job back unharmed (the worker is stopping): the attempt does not count.

    Raises:
        NotFound: no such job.
        IllegalMove: the job is no longer this worker's.
    """
    queued = _leave(session, job, JobState.QUEUED, attempts=job.attempts - 1)
    _record(session, "job.released", queued, now)
    _study_follows(session, job, StudyState.PROCESSING, StudyState.READY, now)


def retry(session: Session, job: Job, *, error: str, not_before: datetime, now: datetime) -> None:
    """The attempt failed: queue the job again, not before a time.

    Raises:
        NotFound: no such job.
        IllegalMove: the job is no longer this worker's.
    """
    queued = _leave(session, job, JobState.QUEUED, error=error, not_before=not_before)
    _record(session, "job.retry", queued, now, "failure")
    _study_follows(session, job, StudyState.PROCESSING, StudyState.READY, now)


def fail(session: Session, job: Job, *, error: str, now: datetime) -> None:
    """Give the job up; its study has FAILED.

    Raises:
        NotFound: no such job.
        IllegalMove: the job is no longer this worker's.
    """
    dead = _leave(session, job, JobState.DEAD, error=error)
    _record(session, "job.dead", dead, now, "failure")
    _study_follows(session, job, StudyState.PROCESSING, StudyState.FAILED, now)


def requeue_running(session: Session, *, now: datetime, max_attempts: int) -> list[Job]:
    """At worker start: jobs a crashed worker left RUNNING are queued again, and returned.

    A job that was claimed `max_attempts` times is buried instead: it may be what crashes the worker.
    """
    query = select(job_table).where(job_table.c.state == JobState.RUNNING).order_by(job_table.c.id)
    left = [_job(row) for row in session.execute(query).mappings()]
    for job in left:
        if job.attempts >= max_attempts:
            fail(session, job, error=f"the worker died in each of {job.attempts} attempts", now=now)
    return [_requeue(session, job, now) for job in left if job.attempts < max_attempts]


def _requeue(session: Session, job: Job, now: datetime) -> Job:
    queued = _leave(session, job, JobState.QUEUED)
    _record(session, "job.requeued", queued, now)
    _study_follows(session, job, StudyState.PROCESSING, StudyState.READY, now)
    return queued


def _leave(session: Session, job: Job, new: JobState, **changes: object) -> Job:
    row = session.execute(select(job_table).where(job_table.c.id == job.id)).one_or_none()
    if row is None:
        raise NotFound(f"no job {job.id}")
    # The count of attempts tells a worker that slept through its own funeral from the present one.
    if row.attempts != job.attempts:
        raise IllegalTransition(f"job {job.id} was claimed again since attempt {job.attempts}")
    check_transition(row.state, new)
    return _write(session, job.id, new, **changes)


def _write(session: Session, number: int, new: JobState, **changes: Any) -> Job:
    query = (
        update(job_table).where(job_table.c.id == number).values(state=new, **changes).returning(job_table)
    )
    return _job(session.execute(query).mappings().one())


def _study_follows(session: Session, job: Job, expected: StudyState, new: StudyState, now: datetime) -> None:
    """Move the study with its job, but leave a study alone that has gone on to a later revision."""
    study = study_row(session, job.study_uid)
    if study["revision"] == job.revision and study["state"] is expected:
        transition_study(session, job.study_uid, new, now=now)


def _record(session: Session, event: str, job: Job, now: datetime, outcome: str = "success") -> None:
    detail: dict[str, object] = {"job": job.id, "revision": job.revision, "attempts": job.attempts}
    if job.error is not None:
        detail["error"] = job.error
    audit_log.record(session, event, outcome, at=now, study_uid=job.study_uid, detail=detail)


def _job(row: RowMapping) -> Job:
    return Job(**row)
