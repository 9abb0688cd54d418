"""Received instances: one row per SOPInstanceUID, the index of the files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import instance_table
from store.db.states import FIRST_STATES, InstanceState, check_transition
from store.errors import NotFound
from store.files.file_store import check_uid
from store.rows import studies

IN_ONE_QUERY = 500
"""UIDs per query; SQLite allows some thousands."""

INSERT_IF_NEW = (
    insert(instance_table)
    .on_conflict_do_nothing(index_elements=[instance_table.c.sop_instance_uid])
    .returning(instance_table.c.id)
)


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What is known of an instance from its file and its sender on."""

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
class NewInstance(_Facts):
    """An instance whose file is durable and whose row is to be written: RECEIVED, KEPT or OWN.

    Raises:
        InvalidUID: the study or the instance has no valid UID.
        ValueError: `state` is no state to begin with.
    """

    def __post_init__(self) -> None:
        check_uid(self.study_uid)
        check_uid(self.sop_instance_uid)
        if self.state not in FIRST_STATES[InstanceState]:
            raise ValueError(f"an instance does not begin as {self.state}")


@dataclass(frozen=True, kw_only=True)
class Instance(_Facts):
    """One row: what came, and what became of it."""

    reason: str | None
    """Why it was not measured."""
    detail: Mapping[str, Any]
    received_at: datetime
    file_gone_at: datetime | None
    """When retention removed the file; None while it is there."""


def register(session: Session, new: NewInstance, *, now: datetime, event: str = "instance.received") -> bool:
    """Write the row of a received instance and let its study know; False, and no change, if it has one."""
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
    # Our own results coming home say nothing about whether the scanner is still sending.
    if new.state is not InstanceState.OWN:
        studies.touch(session, new.study_uid, analysable=new.state is InstanceState.RECEIVED, now=now)
    return True


def of_study(session: Session, study_uid: str) -> list[Instance]:
    """The instances of a study in the order they came."""
    query = (
        select(instance_table).where(instance_table.c.study_uid == study_uid).order_by(instance_table.c.id)
    )
    return [_instance(row) for row in session.execute(query).mappings()]


def get(session: Session, sop_instance_uid: str) -> Instance:
    """One instance.

    Raises:
        NotFound: no such instance.
    """
    query = select(instance_table).where(instance_table.c.sop_instance_uid == sop_instance_uid)
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no instance {sop_instance_uid}")
    return _instance(row)


def held(session: Session, sop_instance_uids: Sequence[str]) -> dict[str, str]:
    """Which of these we keep, with their SOP Class UIDs: not those whose file retention has removed."""
    found: dict[str, str] = {}
    for start in range(0, len(sop_instance_uids), IN_ONE_QUERY):
        some = sop_instance_uids[start : start + IN_ONE_QUERY]
        query = select(instance_table.c.sop_instance_uid, instance_table.c.sop_class_uid)
        kept = query.where(
            instance_table.c.sop_instance_uid.in_(some), instance_table.c.file_gone_at.is_(None)
        )
        rows = session.execute(kept)
        found |= {row.sop_instance_uid: row.sop_class_uid for row in rows}
    return found


def known_paths(session: Session) -> set[str]:
    """The paths of every instance whose row says that it has a file."""
    return set(session.scalars(select(instance_table.c.path).where(instance_table.c.file_gone_at.is_(None))))


def file_returned(session: Session, sop_instance_uid: str, *, now: datetime) -> None:
    """The same bytes came once more after retention had removed them: their time begins anew."""
    query = update(instance_table).where(instance_table.c.sop_instance_uid == sop_instance_uid)
    session.execute(query.values(file_gone_at=None, received_at=now))


def set_outcome(
    session: Session,
    sop_instance_uid: str,
    state: InstanceState,
    *,
    reason: str | None,
    detail: Mapping[str, object],
    now: datetime,
) -> None:
    """Say what the analysis made of an instance: MEASURED, or NOT_MEASURED and why.

    Raises:
        NotFound: no such instance.
        IllegalMove: it is KEPT or OWN, or `state` is no outcome.
    """
    query = select(instance_table).where(instance_table.c.sop_instance_uid == sop_instance_uid)
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no instance {sop_instance_uid}")
    check_transition(row.state, state)
    values = {"state": state, "reason": reason, "detail": audit_log.canonical_json(detail)}
    session.execute(update(instance_table).where(instance_table.c.id == row.id), values)
    measured = state is InstanceState.MEASURED
    audit_log.record(
        session,
        f"instance.{state.lower()}",
        "success" if measured else "refused",
        at=now,
        study_uid=row.study_uid,
        sop_instance_uid=sop_instance_uid,
        detail=detail if measured else {"reason": reason, **detail},
    )


def _instance(row: Mapping[Any, Any]) -> Instance:
    values = {key: value for key, value in row.items() if key != "id"}
    return Instance(**{**values, "detail": json.loads(row["detail"])})
