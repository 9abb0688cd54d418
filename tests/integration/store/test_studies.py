"""Studies: complete, replayed, reopened."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from store.audit import audit_log
from store.db.database import Database
from store.db.states import JobState, StudyState
from store.errors import IllegalTransition, NotFound
from store.rows import jobs, studies

FINISHED = {StudyState.DONE, StudyState.FAILED}


def test_unknown_study(database: Database, now: datetime) -> None:
    """What was never received can be neither read, nor completed, nor replayed."""
    with database.transaction() as session:
        for call in (
            lambda: studies.get(session, "1.2"),
            lambda: studies.mark_ready(session, "1.2", now=now),
            lambda: studies.replay(session, "1.2", now=now),
        ):
            with pytest.raises(NotFound):
                call()


def test_receiving_lists_open_studies(
    database: Database, receive: Callable[..., bool], queued: Callable[..., jobs.Job], now: datetime
) -> None:
    """Only open studies are listed, the one quiet for longest first."""
    receive(1, study="1.5", at=now + timedelta(seconds=5))
    receive(1, study="1.6", at=now)
    queued(study="1.7")
    with database.read() as session:
        assert [study.study_uid for study in studies.receiving(session)] == ["1.6", "1.5"]


def test_ready(database: Database, receive: Callable[..., bool], study_uid: str, now: datetime) -> None:
    """A complete study has one job of its revision, due at once; both are in the audit log."""
    receive(1)
    with database.transaction() as session:
        job = studies.mark_ready(session, study_uid, now=now)
        study = studies.get(session, study_uid)
        events = [event.event for event in audit_log.events(session, limit=2)]

    assert (study.state, study.revision) == (StudyState.READY, 1)
    assert (study_uid, 1, JobState.QUEUED, 0, now) == (
        job.study_uid,
        job.revision,
        job.state,
        job.attempts,
        job.not_before,
    )
    assert events == ["study.ready", "job.queued"]


@pytest.mark.parametrize("state", [s for s in StudyState if s is not StudyState.RECEIVING])
def test_only_an_open_study_becomes_ready(
    database: Database, in_state: Callable[..., str], now: datetime, state: StudyState
) -> None:
    """A study is completed once per revision."""
    study_uid = in_state(state)
    with pytest.raises(IllegalTransition), database.transaction() as session:
        studies.mark_ready(session, study_uid, now=now)


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_replay(database: Database, in_state: Callable[..., str], now: datetime, state: StudyState) -> None:
    """A finished study can be analysed again, as its next revision."""
    study_uid = in_state(state)
    with database.transaction() as session:
        job = studies.replay(session, study_uid, now=now)
        study = studies.get(session, study_uid)

    assert (study.state, study.revision, job.revision) == (StudyState.READY, 2, 2)


@pytest.mark.parametrize("state", [s for s in StudyState if s not in FINISHED])
def test_no_replay_of_the_unfinished(
    database: Database, in_state: Callable[..., str], now: datetime, state: StudyState
) -> None:
    """A study that is still on its way is not replayed."""
    study_uid = in_state(state)
    with pytest.raises(IllegalTransition), database.transaction() as session:
        studies.replay(session, study_uid, now=now)
    with database.read() as session:
        assert state is studies.get(session, study_uid).state


def test_a_reopened_study_becomes_ready_again(
    database: Database, in_state: Callable[..., str], receive: Callable[..., bool], now: datetime
) -> None:
    """A late image leads to a second job, of revision 2."""
    study_uid = in_state(StudyState.DONE)
    receive(2)
    with database.transaction() as session:
        job = studies.mark_ready(session, study_uid, now=now)

    assert job.revision == 2
