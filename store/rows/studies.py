"""Studies: one row per Study Instance UID, with its state and revision."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import instance_table, study_table
from store.db.states import StudyState
from store.errors import FilesGone, IllegalTransition
from store.rows.jobs import Job, enqueue
from store.rows.study_transitions import StudyChanges, study_row, transition_study

# Built once: they run for every received instance.
SELECT_STATE = select(study_table.c.state).where(study_table.c.study_uid == bindparam("uid"))
UPDATE = update(study_table).where(study_table.c.study_uid == bindparam("uid"))


@dataclass(frozen=True, kw_only=True)
class Study:
    """One row."""

    study_uid: str
    state: StudyState
    revision: int
    """From 1; a late image or a replay starts the next one."""
    first_received_at: datetime
    """When the first image of this revision was received."""
    last_received_at: datetime


def get(session: Session, study_uid: str) -> Study:
    """Return one study.

    Raises:
        NotFound: it has no row.
    """
    return Study(**study_row(session, study_uid))


def receiving(session: Session) -> list[Study]:
    """Return the RECEIVING studies, the one without images for longest first."""
    query = (
        select(study_table)
        .where(study_table.c.state == StudyState.RECEIVING)
        .order_by(study_table.c.last_received_at)
    )
    return [Study(**row) for row in session.execute(query).mappings()]


def instance_received(session: Session, study_uid: str, *, analysable: bool, now: datetime) -> None:
    """Create the study's row, or note the time, or (for an analysable image) start its next revision."""
    state = session.scalar(SELECT_STATE, {"uid": study_uid})
    if state is None:
        _open(session, study_uid, now)
    elif state is StudyState.RECEIVING:
        session.execute(UPDATE, {"uid": study_uid, "last_received_at": now})
    elif analysable:
        _reopen(session, study_uid, now)


def mark_ready(session: Session, study_uid: str, *, now: datetime) -> Job:
    """RECEIVING to READY: the study is complete; queue the job of its revision.

    Raises:
        NotFound: it has no row.
        IllegalTransition: it is not RECEIVING.
    """
    study = get(session, study_uid)
    if study.state is not StudyState.RECEIVING:
        raise IllegalTransition(f"study {study_uid} is {study.state}, not RECEIVING")
    transition_study(session, study_uid, StudyState.READY, now=now)
    return enqueue(session, study_uid, revision=study.revision, now=now)


def replay(session: Session, study_uid: str, *, now: datetime) -> Job:
    """DONE or FAILED to READY: queue the job of the study's next revision.

    Raises:
        NotFound: it has no row.
        IllegalTransition: it is neither DONE nor FAILED.
        FilesGone: retention removed all its files.
    """
    study = get(session, study_uid)
    if study.state not in {StudyState.DONE, StudyState.FAILED}:
        raise IllegalTransition(f"study {study_uid} is {study.state}: only DONE and FAILED can be replayed")
    has_files = exists().where(
        instance_table.c.study_uid == study_uid, instance_table.c.file_gone_at.is_(None)
    )
    if not session.scalar(select(has_files)):
        raise FilesGone
    revision = study.revision + 1
    transition_study(session, study_uid, StudyState.READY, now=now, changes={"revision": revision})
    return enqueue(session, study_uid, revision=revision, now=now)


def _open(session: Session, study_uid: str, now: datetime) -> None:
    values = {"study_uid": study_uid, "state": StudyState.RECEIVING, "revision": 1}
    session.execute(insert(study_table), {**values, "first_received_at": now, "last_received_at": now})
    audit_log.record(session, "study.receiving", at=now, study_uid=study_uid, detail={"revision": 1})


def _reopen(session: Session, study_uid: str, now: datetime) -> None:
    revision = get(session, study_uid).revision + 1
    changes: StudyChanges = {"revision": revision, "first_received_at": now, "last_received_at": now}
    receiving = StudyState.RECEIVING
    transition_study(session, study_uid, receiving, now=now, event="study.reopened", changes=changes)
