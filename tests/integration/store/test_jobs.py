"""Jobs: claimed once, ended once, never lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from store.audit import audit_log
from store.db.database import Database
from store.db.states import JobState, StudyState
from store.errors import IllegalTransition, NotFound
from store.rows import instances, jobs, studies
from store.rows.instances import NewInstance
from store.rows.jobs import Job

Make = Callable[..., Job]
LATER = timedelta(minutes=1)


def _claim(database: Database, now: datetime) -> Job | None:
    with database.transaction() as session:
        return jobs.claim(session, now=now)


def _study_state(database: Database, study_uid: str) -> StudyState:
    with database.read() as session:
        return studies.get(session, study_uid).state


def _last_events(database: Database, number: int) -> list[str]:
    with database.read() as session:
        return [event.event for event in audit_log.events(session, limit=number)]


def _end(database: Database, job: Job, ending: str, now: datetime) -> None:
    with database.transaction() as session:
        if ending == "finish":
            jobs.finish(session, job, now=now)
        elif ending == "release":
            jobs.release(session, job, now=now)
        elif ending == "retry":
            jobs.retry(session, job, error="no weights", not_before=now + LATER, now=now)
        else:
            jobs.fail(session, job, error="no weights", now=now)


ENDINGS = [
    ("finish", JobState.DONE, StudyState.DONE, 1, ["job.done", "study.done"]),
    ("release", JobState.QUEUED, StudyState.READY, 0, ["job.released", "study.ready"]),
    ("retry", JobState.QUEUED, StudyState.READY, 1, ["job.retry", "study.ready"]),
    ("fail", JobState.DEAD, StudyState.FAILED, 1, ["job.dead", "study.failed"]),
]


def test_nothing_to_claim(database: Database, now: datetime) -> None:
    """An empty queue gives None."""
    assert _claim(database, now) is None


def test_claim(database: Database, queued: Make, now: datetime, study_uid: str) -> None:
    """A claimed job is RUNNING, counts the attempt, and its study is PROCESSING."""
    waiting = queued()
    job = _claim(database, now)

    assert job is not None
    assert (waiting.id, JobState.RUNNING, 1) == (job.id, job.state, job.attempts)
    assert StudyState.PROCESSING is _study_state(database, study_uid)
    assert _last_events(database, 2) == ["job.claimed", "study.processing"]
    assert _claim(database, now) is None


def test_oldest_first(database: Database, queued: Make, now: datetime) -> None:
    """Jobs are claimed in the order they were queued."""
    order = ["1.3", "1.1", "1.2"]
    for study in order:
        queued(study=study)
    claimed = [_claim(database, now) for _ in order]

    assert order == [job.study_uid for job in claimed if job]


def test_not_before(database: Database, running: Make, now: datetime) -> None:
    """A job that is to be tried later lets others pass until its time has come."""
    _end(database, running(), "retry", now)

    assert _claim(database, now + LATER - timedelta(microseconds=1)) is None
    again = _claim(database, now + LATER)
    assert again is not None
    assert (again.attempts, again.error) == (2, "no weights")


def test_threads_claim_distinct_jobs(database: Database, queued: Make, now: datetime) -> None:
    """Eight threads that claim at once never get the same job, and leave none behind."""
    studies_uids = [f"1.{number}" for number in range(40)]
    for study in studies_uids:
        queued(study=study)
    start = threading.Barrier(8)

    def work() -> list[str]:
        start.wait()
        mine = []
        while job := _claim(database, now):
            mine.append(job.study_uid)
        return mine

    with ThreadPoolExecutor(8) as pool:
        hands = [pool.submit(work) for _ in range(8)]
    claimed = [study for hand in hands for study in hand.result()]

    assert sorted(studies_uids) == sorted(claimed)


@pytest.mark.parametrize(("ending", "job_state", "study_state", "attempts", "events"), ENDINGS)
def test_endings(
    *,
    database: Database,
    running: Make,
    now: datetime,
    study_uid: str,
    ending: str,
    job_state: JobState,
    study_state: StudyState,
    attempts: int,
    events: list[str],
) -> None:
    """Each ending moves the job and its study together and records both."""
    job = running()
    _end(database, job, ending, now)
    with database.read() as session:
        row = session.execute(text("SELECT state, attempts FROM jobs")).one()

    assert (job_state.value, attempts) == tuple(row)
    assert study_state is _study_state(database, study_uid)
    assert events == _last_events(database, 2)


@pytest.mark.parametrize("ending", [ending for ending, *_ in ENDINGS])
@pytest.mark.parametrize("before", [ending for ending, *_ in ENDINGS])
def test_a_job_ends_once(database: Database, running: Make, now: datetime, before: str, ending: str) -> None:
    """A job that has left RUNNING cannot be ended again, and nothing is recorded."""
    job = running()
    _end(database, job, before, now)
    events = _last_events(database, 99)
    with pytest.raises(IllegalTransition):
        _end(database, job, ending, now)

    assert events == _last_events(database, 99)


@pytest.mark.parametrize("ending", [ending for ending, *_ in ENDINGS])
def test_a_waiting_job_cannot_end(database: Database, queued: Make, now: datetime, ending: str) -> None:
    """Only a RUNNING job can be ended."""
    job = queued()
    with pytest.raises(IllegalTransition):
        _end(database, job, ending, now)


@pytest.mark.parametrize("ending", [ending for ending, *_ in ENDINGS])
def test_an_unknown_job_cannot_end(database: Database, running: Make, now: datetime, ending: str) -> None:
    """A job without a row cannot be ended."""
    job = running()
    ghost = Job(**{**vars(job), "id": 999})
    with pytest.raises(NotFound):
        _end(database, ghost, ending, now)


@pytest.mark.parametrize("ending", [ending for ending, *_ in ENDINGS])
def test_a_worker_that_lost_its_job(database: Database, running: Make, now: datetime, ending: str) -> None:
    """A worker taken for dead cannot end the job that another one has claimed since."""
    mine = running()
    with database.transaction() as session:
        jobs.requeue_running(session, now=now, max_attempts=3)
    theirs = _claim(database, now)
    assert theirs is not None
    with pytest.raises(IllegalTransition, match="claimed again"):
        _end(database, mine, ending, now)
    _end(database, theirs, ending, now)


@pytest.mark.parametrize("ending", [ending for ending, *_ in ENDINGS])
def test_a_late_image_wins(
    *,
    database: Database,
    running: Make,
    receive: Callable[..., bool],
    now: datetime,
    study_uid: str,
    ending: str,
) -> None:
    """When a study was reopened meanwhile, the end of the old job leaves it RECEIVING."""
    job = running()
    receive(2)
    _end(database, job, ending, now)

    assert StudyState.RECEIVING is _study_state(database, study_uid)


def test_one_revision_at_a_time(
    database: Database, running: Make, receive: Callable[..., bool], now: datetime, study_uid: str
) -> None:
    """The job of the next revision waits for the running one, while other studies go on."""
    first = running()
    receive(2)
    receive(1, study="1.5")
    with database.transaction() as session:
        studies.mark_ready(session, study_uid, now=now)
        studies.mark_ready(session, "1.5", now=now)
    other = _claim(database, now)
    assert other is not None
    assert other.study_uid == "1.5"
    assert _claim(database, now) is None
    _end(database, first, "finish", now)
    second = _claim(database, now)

    assert second is not None
    assert (study_uid, 2) == (second.study_uid, second.revision)
    assert StudyState.PROCESSING is _study_state(database, study_uid)


@pytest.mark.parametrize("complete", [False, True])
def test_an_old_revision_leaves_the_study_alone(
    *,
    database: Database,
    queued: Make,
    receive: Callable[..., bool],
    now: datetime,
    study_uid: str,
    complete: bool,
) -> None:
    """The job of revision 1 moves a study that is at revision 2 neither at its claim nor at its end."""
    queued()
    receive(2)
    if complete:
        with database.transaction() as session:
            studies.mark_ready(session, study_uid, now=now)
    state = _study_state(database, study_uid)
    job = _claim(database, now)
    assert job is not None
    assert job.revision == 1
    assert _study_state(database, study_uid) is state
    _end(database, job, "finish", now)

    assert _study_state(database, study_uid) is state


def test_crashed_worker(database: Database, running: Make, now: datetime, study_uid: str) -> None:
    """What a crashed worker left is queued again and counts as an attempt."""
    job = running()
    with database.transaction() as session:
        (back,) = jobs.requeue_running(session, now=now, max_attempts=3)

    assert (job.id, JobState.QUEUED, 1) == (back.id, back.state, back.attempts)
    assert StudyState.READY is _study_state(database, study_uid)
    assert _last_events(database, 2) == ["job.requeued", "study.ready"]


def test_a_job_that_kills_workers(database: Database, running: Make, now: datetime, study_uid: str) -> None:
    """A job that was claimed too often is given up instead of crashing the next worker."""
    running()
    for _ in range(2):
        with database.transaction() as session:
            assert jobs.requeue_running(session, now=now, max_attempts=3)
        assert _claim(database, now) is not None
    with database.transaction() as session:
        assert jobs.requeue_running(session, now=now, max_attempts=3) == []

    assert StudyState.FAILED is _study_state(database, study_uid)
    assert _last_events(database, 2) == ["job.dead", "study.failed"]


def test_nothing_crashed(database: Database, queued: Make, now: datetime) -> None:
    """A start after a clean stop requeues nothing."""
    queued()
    with database.transaction() as session:
        assert jobs.requeue_running(session, now=now, max_attempts=3) == []


def test_one_job_per_revision(database: Database, queued: Make, now: datetime, study_uid: str) -> None:
    """The database refuses a second job of the same revision."""
    queued()
    with pytest.raises(IntegrityError), database.transaction() as session:
        jobs.enqueue(session, study_uid, revision=1, now=now)


def test_instances_arrive_while_a_job_runs(
    database: Database, running: Make, new_instance: Callable[..., NewInstance], now: datetime, study_uid: str
) -> None:
    """No transaction is held while a job runs: the receiver goes on writing."""
    running()
    with database.transaction() as session:
        assert instances.register(session, new_instance(2), now=now)
    with database.read() as session:
        assert [study_uid] == [study.study_uid for study in studies.receiving(session)]
