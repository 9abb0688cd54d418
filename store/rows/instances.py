"""Received instances: one row per SOP Instance UID, with the path of its file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import instance_table
from store.db.states import FIRST_STATES, InstanceState, check_transition
from store.files.uids import check_uid
from store.rows import studies
from store.rows.queries import only_row

UIDS_PER_QUERY = 500
"""SQLite allows some thousands of parameters."""

INSERT_IF_NEW = (
    insert(instance_table)
    .on_conflict_do_nothing(index_elements=[instance_table.c.sop_instance_uid])
    .returning(instance_table.c.id)
)


@dataclass(frozen=True, kw_only=True)
class _Received:
    """What is known of an instance when it is received."""

    sop_instance_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the data folder."""
    sha256: str
    size_bytes: int
    peer_ae: str | None
    peer_ip: str | None
    state: InstanceState


@dataclass(frozen=True, kw_only=True)
class NewInstance(_Received):
    """An instance whose file is stored and whose row is to be written: RECEIVED, KEPT or OWN.

    Raises:
        InvalidUID: Study or SOP Instance UID is invalid.
        ValueError: `state` is not an initial state.
    """

    def __post_init__(self) -> None:
        check_uid(self.study_uid)
        check_uid(self.sop_instance_uid)
        if self.state not in FIRST_STATES[InstanceState]:
            raise ValueError(f"an instance does not begin as {self.state}")


@dataclass(frozen=True, kw_only=True)
class Instance(_Received):
    """One row."""

    reason: str | None
    """Why it was not measured, one of the reasons of `inference.errors`; None if measured or not analysed."""
    detail: Mapping[str, Any]
    """JSON: `ImageResult.detail` of the last analysis of this version; empty before."""
    received_at: datetime
    file_gone_at: datetime | None
    """When retention removed the file; None while it exists."""


def register(session: Session, new: NewInstance, *, now: datetime, event: str = "instance.received") -> bool:
    """Write the row of an instance and update its study; False, without a change, if it has a row."""
    row = {**vars(new), "reason": None, "detail": "{}", "received_at": now, "file_gone_at": None}
    if session.execute(INSERT_IF_NEW, row).one_or_none() is None:
        return False
    audit_log.record(
        session,
        event,
        at=now,
        peer_ae=new.peer_ae,
        peer_ip=new.peer_ip,
        study_uid=new.study_uid,
        sop_instance_uid=new.sop_instance_uid,
        detail={
            key: row[key] for key in ("state", "sop_class_uid", "transfer_syntax_uid", "size_bytes", "sha256")
        },
    )
    # Results of this node that come back do not prolong the reception of their study.
    if new.state is not InstanceState.OWN:
        analysable = new.state is InstanceState.RECEIVED
        studies.instance_received(session, new.study_uid, analysable=analysable, now=now)
    return True


def of_study(session: Session, study_uid: str) -> list[Instance]:
    """Return the instances of a study in the order they were received."""
    query = (
        select(instance_table).where(instance_table.c.study_uid == study_uid).order_by(instance_table.c.id)
    )
    return [_instance(row) for row in session.execute(query).mappings()]


def get(session: Session, sop_instance_uid: str) -> Instance:
    """Return one instance.

    Raises:
        NotFound: it has no row.
    """
    return _instance(_row(session, sop_instance_uid))


def stored_sop_classes(session: Session, sop_instance_uids: Sequence[str]) -> dict[str, str]:
    """Return, of these instances, those whose file exists, with their SOP Class UIDs."""
    found: dict[str, str] = {}
    for start in range(0, len(sop_instance_uids), UIDS_PER_QUERY):
        uids = sop_instance_uids[start : start + UIDS_PER_QUERY]
        query = (
            select(instance_table.c.sop_instance_uid, instance_table.c.sop_class_uid)
            .where(instance_table.c.sop_instance_uid.in_(uids))
            .where(instance_table.c.file_gone_at.is_(None))
        )
        found |= {row.sop_instance_uid: row.sop_class_uid for row in session.execute(query)}
    return found


def known_paths(session: Session, paths: Sequence[str]) -> set[str]:
    """Return, of these relative paths, those of files that exist according to the rows."""
    query = select(instance_table.c.path).where(
        instance_table.c.path.in_(paths), instance_table.c.file_gone_at.is_(None)
    )
    return set(session.scalars(query))


def find(session: Session, sop_instance_uid: str) -> Instance | None:
    """Return one instance, or None."""
    query = select(instance_table).where(instance_table.c.sop_instance_uid == sop_instance_uid)
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else _instance(row)


def file_restored(session: Session, sop_instance_uid: str, path: str, *, now: datetime) -> None:
    """Record that a file which retention had removed was received again; its age starts at `now`."""
    query = update(instance_table).where(instance_table.c.sop_instance_uid == sop_instance_uid)
    session.execute(query.values(file_gone_at=None, path=path, received_at=now))


def correct(session: Session, new: NewInstance, *, now: datetime) -> None:
    """Replace the version of an instance by a corrected one, whose study gets another revision.

    The state stays, and the empty `detail` says that this version was not analysed. No audit event: the
    caller records one that names both versions.
    """
    values = {**vars(new), "detail": "{}", "received_at": now, "file_gone_at": None}
    del values["state"]
    query = update(instance_table).where(instance_table.c.sop_instance_uid == new.sop_instance_uid)
    session.execute(query.values(values))
    analysable = new.state is InstanceState.RECEIVED
    studies.instance_received(session, new.study_uid, analysable=analysable, now=now)


def set_outcome(
    session: Session,
    sop_instance_uid: str,
    state: InstanceState,
    *,
    reason: str | None,
    detail: Mapping[str, object],
    now: datetime,
) -> None:
    """Record the result of an analysis: MEASURED, or NOT_MEASURED with its reason.

    Raises:
        NotFound: the instance has no row.
        IllegalTransition: it is KEPT or OWN, or `state` is neither of the two.
    """
    row = _row(session, sop_instance_uid)
    check_transition(row["state"], state)
    values = {"state": state, "reason": reason, "detail": audit_log.canonical_json(detail)}
    session.execute(update(instance_table).where(instance_table.c.id == row["id"]), values)
    measured = state is InstanceState.MEASURED
    audit_log.record(
        session,
        f"instance.{state.lower()}",
        "success" if measured else "refused",
        at=now,
        study_uid=row["study_uid"],
        sop_instance_uid=sop_instance_uid,
        detail=detail if measured else {"reason": reason, **detail},
    )


def _row(session: Session, sop_instance_uid: str) -> RowMapping:
    query = select(instance_table).where(instance_table.c.sop_instance_uid == sop_instance_uid)
    return only_row(session, query, f"instance {sop_instance_uid}")


def _instance(row: RowMapping) -> Instance:
    values = {key: value for key, value in row.items() if key != "id"}
    return Instance(**{**values, "detail": json.loads(row["detail"])})
