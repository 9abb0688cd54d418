"""Studies: a row per StudyInstanceUID, and its way from the scanner to the PACS."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import instance_table, study_table
from store.db.states import StudyState
from store.errors import FilesGone, IllegalTransition
from store.rows.jobs import Job, enqueue
from store.rows.study_transitions import study_row, transition_study

STATE = select(study_table.c.state).where(study_table.c.study_uid == bindparam("uid"))
SEEN = update(study_table).where(study_table.c.study_uid == bindparam("uid"))


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study as the node knows it."""

    study_uid: str
    state: StudyState
    revision: int
    """From 1; a late image or a replay makes the next."""
    first_received_at: datetime
    """When the first image of this revision came."""
    last_received_at: datetime


def get(session: Session, study_uid: str) -> Study:
    """One study.

    Raises:
        NotFound: no such study.
    """
    return Study(**study_row(session, study_uid))


def receiving(session: Session) -> list[Study]:
    """Studies whose images may still come, quiet for longest first."""
    query = (
        select(study_table)
        .where(study_table.c.state == StudyState.RECEIVING)
        .order_by(study_table.c.last_received_at)
    )
    return [Study(**row) for row in session.execute(query).mappings()]


def touch(session: Session, study_uid: str, *, analysable: bool, now: datetime) -> None:
    """An image came: open its study, keep it open, or (if the image is analysable) open it again."""
    state = session.scalar(STATE, {"uid": study_uid})
    if state is None:
        _open(session, study_uid, now)
    elif state is StudyState.RECEIVING:
        session.execute(SEEN, {"uid": study_uid, "last_received_at": now})
    elif analysable:
        _reopen(session, study_uid, now)


def mark_ready(session: Session, study_uid: str, *, now: datetime) -> Job:
    """The study is complete: queue the job of its revision.

    Raises:
        NotFound: no such study.
        IllegalMove: it is not RECEIVING.
    """
    study = get(session, study_uid)
    if study.state is not StudyState.RECEIVING:
        raise IllegalTransition(f"study {study_uid} is {study.state}, not RECEIVING")
    transition_study(session, study_uid, StudyState.READY, now=now)
    return enqueue(session, study_uid, revision=study.revision, now=now)


def replay(session: Session, study_uid: str, *, now: datetime) -> Job:
    """Analyse a finished study once more, as its next revision.

    Raises:
        NotFound: no such study.
        IllegalMove: it is neither DONE nor FAILED.
        FilesGone: retention removed every file of it.
    """
    study = get(session, study_uid)
    if study.state not in {StudyState.DONE, StudyState.FAILED}:
        raise IllegalTransition(f"study {study_uid} is {study.state}: only DONE and FAILED can be replayed")
    still_there = exists().where(
        instance_table.c.study_uid == study_uid, instance_table.c.file_gone_at.is_(None)
    )
    if not session.scalar(select(still_there)):
        raise FilesGone
    revision = study.revision + 1
    transition_study(session, study_uid, StudyState.READY, now=now, revision=revision)
    return enqueue(session, study_uid, revision=revision, now=now)


def _open(session: Session, study_uid: str, now: datetime) -> None:
    values = {"study_uid": study_uid, "state": StudyState.RECEIVING, "revision": 1}
    session.execute(insert(study_table), {**values, "first_received_at": now, "last_received_at": now})
    audit_log.record(session, "study.receiving", at=now, study_uid=study_uid, detail={"revision": 1})


def _reopen(session: Session, study_uid: str, now: datetime) -> None:
    revision = get(session, study_uid).revision + 1
    times = {"first_received_at": now, "last_received_at": now}
    transition_study(
        session,
        study_uid,
        StudyState.RECEIVING,
        now=now,
        event="study.reopened",
        revision=revision,
        **times,
    )
