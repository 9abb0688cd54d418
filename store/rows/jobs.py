"""Jobs: the analysis of one study revision each, claimed by one worker at a time.

`finish`, `supersede`, `release`, `postpone`, `retry` and `fail` raise NotFound for a job without a row, and
IllegalTransition when the job was claimed again or is not RUNNING. A study follows its job unless a late
image has started the study's next revision.
`finish`, `supersede` and `fail` end a job: files that it announced and did not record are to be removed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, RowMapping, Select, exists, insert, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import job_table
from store.db.states import JobState, StudyState, check_transition
from store.errors import IllegalTransition
from store.rows import announced_results
from store.rows.queries import in_state, only_row
from store.rows.study_transitions import study_row, transition_study


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row as it was when it was read."""

    id: int
    study_uid: str
    revision: int
    state: JobState
    attempts: int
    """Number of claims, the present one included, without released ones."""
    not_before: datetime
    """Earliest time of the next claim."""
    error: str | None
    """Why the last attempt failed, was put off or was superseded."""
    created_at: datetime
    postponed: int = 0
    """How often it was put off because disk or database could not be used; these attempts do not count."""


class _Changes(TypedDict, total=False):
    """New values of columns besides `state`."""

    attempts: int | ColumnElement[int]
    error: str
    not_before: datetime
    postponed: int


def enqueue(session: Session, study_uid: str, *, revision: int, now: datetime) -> Job:
    """Queue the job of a study revision that has just become READY."""
    values = {"study_uid": study_uid, "revision": revision, "state": JobState.QUEUED, "attempts": 0}
    query = insert(job_table).values(**values, not_before=now, created_at=now).returning(job_table)
    job = _job(session.execute(query).mappings().one())
    _record(session, "job.queued", job, now)
    return job


def is_due(session: Session, *, now: datetime) -> bool:
    """Tell whether `claim` would find a job; to be asked first, because it takes no lock."""
    return session.scalar(_due(now)) is not None


def claim(session: Session, *, now: datetime) -> Job | None:
    """QUEUED to RUNNING: claim the job due for longest whose study has no RUNNING job; None: no such job."""
    job_id = session.scalar(_due(now))
    if job_id is None:
        return None
    job = _update(session, job_id, JobState.RUNNING, {"attempts": job_table.c.attempts + 1})
    _record(session, "job.claimed", job, now)
    _transition_study_of(session, job, StudyState.READY, StudyState.PROCESSING, now)
    return job


def finish(session: Session, job: Job, *, now: datetime) -> None:
    """RUNNING to DONE; its study becomes DONE."""
    done = _end(session, job, JobState.DONE, {})
    _record(session, "job.done", done, now)
    _transition_study_of(session, job, StudyState.PROCESSING, StudyState.DONE, now)


def supersede(session: Session, job: Job, *, by: int, now: datetime) -> None:
    """RUNNING to DONE without a result: a late image has started revision `by`, whose job analyses all."""
    done = _end(session, job, JobState.DONE, {"error": f"superseded by revision {by}"})
    _record(session, "job.superseded", done, now)


def release(session: Session, job: Job, *, now: datetime) -> None:
    """RUNNING to QUEUED without counting the attempt, as when the worker stops; its study becomes READY."""
    queued = _transition(session, job, JobState.QUEUED, {"attempts": job.attempts - 1})
    _record(session, "job.released", queued, now)
    _transition_study_of(session, job, StudyState.PROCESSING, StudyState.READY, now)


def postpone(session: Session, job: Job, *, error: str, not_before: datetime, now: datetime) -> None:
    """RUNNING to QUEUED until `not_before`: disk or database cannot be used; the attempt does not count."""
    changes: _Changes = {"attempts": job.attempts - 1, "postponed": job.postponed + 1}
    changes |= {"error": error, "not_before": not_before}
    queued = _transition(session, job, JobState.QUEUED, changes)
    _record(session, "job.postponed", queued, now, "failure")
    _transition_study_of(session, job, StudyState.PROCESSING, StudyState.READY, now)


def retry(session: Session, job: Job, *, error: str, not_before: datetime, now: datetime) -> None:
    """RUNNING to QUEUED after a failed attempt; its study becomes READY."""
    queued = _transition(session, job, JobState.QUEUED, {"error": error, "not_before": not_before})
    _record(session, "job.retry", queued, now, "failure")
    _transition_study_of(session, job, StudyState.PROCESSING, StudyState.READY, now)


def fail(session: Session, job: Job, *, error: str, now: datetime) -> None:
    """RUNNING to DEAD after the last attempt; its study becomes FAILED."""
    dead = _end(session, job, JobState.DEAD, {"error": error})
    _record(session, "job.dead", dead, now, "failure")
    _transition_study_of(session, job, StudyState.PROCESSING, StudyState.FAILED, now)


def requeue_running(session: Session, *, now: datetime, max_attempts: int) -> list[Job]:
    """Queue the jobs again that a crashed worker left RUNNING, and return them; called at worker start.

    Jobs claimed `max_attempts` times or more fail instead: they may have caused the crash.
    """
    query = select(job_table).where(job_table.c.state == JobState.RUNNING).order_by(job_table.c.id)
    running = [_job(row) for row in session.execute(query).mappings()]
    for job in running:
        if job.attempts >= max_attempts:
            fail(session, job, error=f"the worker died in each of {job.attempts} attempts", now=now)
    return [_requeue(session, job, now) for job in running if job.attempts < max_attempts]


def _due(now: datetime) -> Select[Any]:
    running = job_table.alias()
    busy = exists().where(
        running.c.study_uid == job_table.c.study_uid, in_state(running.c.state, JobState.RUNNING)
    )
    return (
        select(job_table.c.id)
        .where(in_state(job_table.c.state, JobState.QUEUED), job_table.c.not_before <= now, ~busy)
        .order_by(job_table.c.not_before, job_table.c.id)
        .limit(1)
    )


def _requeue(session: Session, job: Job, now: datetime) -> Job:
    queued = _transition(session, job, JobState.QUEUED, {})
    _record(session, "job.requeued", queued, now)
    _transition_study_of(session, job, StudyState.PROCESSING, StudyState.READY, now)
    return queued


def _end(session: Session, job: Job, new: JobState, changes: _Changes) -> Job:
    ended = _transition(session, job, new, changes)
    announced_results.conclude(session, job_id=job.id, study_uid=job.study_uid)
    return ended


def _transition(session: Session, job: Job, new: JobState, changes: _Changes) -> Job:
    row = only_row(session, select(job_table).where(job_table.c.id == job.id), f"job {job.id}")
    # A stale claim: this worker was taken for dead, and the job was claimed again.
    if row["attempts"] != job.attempts:
        raise IllegalTransition(f"job {job.id} was claimed again since attempt {job.attempts}")
    check_transition(row["state"], new)
    return _update(session, job.id, new, changes)


def _update(session: Session, job_id: int, new: JobState, changes: _Changes) -> Job:
    query = update(job_table).where(job_table.c.id == job_id).returning(job_table)
    return _job(session.execute(query.values({**changes, "state": new})).mappings().one())


def _transition_study_of(
    session: Session, job: Job, expected: StudyState, new: StudyState, now: datetime
) -> None:
    """Change the study's state with that of its job, unless the study is at a later revision."""
    study = study_row(session, job.study_uid)
    if study["revision"] == job.revision and study["state"] is expected:
        transition_study(session, job.study_uid, new, now=now)


def _record(session: Session, event: str, job: Job, now: datetime, outcome: str = "success") -> None:
    detail: dict[str, object] = {"job": job.id, "revision": job.revision, "attempts": job.attempts}
    if job.error is not None:
        detail["error"] = job.error
    if job.postponed:
        detail["postponed"] = job.postponed
    audit_log.record(session, event, outcome, at=now, study_uid=job.study_uid, detail=detail)


def _job(row: RowMapping) -> Job:
    return Job(**row)
