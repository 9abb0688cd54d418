"""Results: the DICOM objects that the node made, and the deliveries that are created with them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, exists, insert, select
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import delivery_table, result_table
from store.db.states import DeliveryState

Kind = Literal["tid5200", "tid1500", "tid5300", "overlay", "presentation_state"]
"""A structured report by its template (PS3.16), the overlay image, or a presentation state."""


@dataclass(frozen=True, kw_only=True)
class NewResult:
    """A result whose file is stored and whose row is to be written."""

    kind: Kind
    study_uid: str
    revision: int
    source_sop_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    path: str
    """Relative to the data folder."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Result(NewResult):
    """One row."""

    id: int
    created_at: datetime
    file_gone_at: datetime | None
    """When retention removed the file; None while it exists."""


def add(session: Session, new: NewResult, *, destinations: Sequence[str], now: datetime) -> bool:
    """Write the row of a result and a delivery for each destination; False if the result has a row."""
    if is_own(session, new.sop_instance_uid):
        return False
    query = insert(result_table).values(**asdict(new), created_at=now).returning(result_table.c.id)
    number = session.scalar(query)
    pending = {"result_id": number, "state": DeliveryState.PENDING, "attempts": 0, "asks": 0}
    pending |= {"next_attempt_at": now, "waiting_since": now}
    for destination in destinations:
        session.execute(insert(delivery_table), {**pending, "destination": destination})
    audit_log.record(
        session,
        "result.created",
        at=now,
        study_uid=new.study_uid,
        sop_instance_uid=new.sop_instance_uid,
        detail={
            "kind": new.kind,
            "revision": new.revision,
            "source_sop_instance_uid": new.source_sop_instance_uid,
            "sha256": new.sha256,
            "destinations": list(destinations),
        },
    )
    return True


def of_study(session: Session, study_uid: str) -> list[Result]:
    """Return the results of a study in the order they were made."""
    return _fetch(
        session, select(result_table).where(result_table.c.study_uid == study_uid).order_by(result_table.c.id)
    )


def latest(session: Session, *, source_sop_instance_uid: str, before_revision: int) -> dict[Kind, Result]:
    """Return, of each kind, the newest result of a source image with a revision below `before_revision`."""
    query = select(result_table).where(
        result_table.c.source_sop_instance_uid == source_sop_instance_uid,
        result_table.c.revision < before_revision,
    )
    return {
        each.kind: each
        for each in _fetch(session, query.order_by(result_table.c.revision, result_table.c.id))
    }


def is_own(session: Session, sop_instance_uid: str) -> bool:
    """Tell whether this node made the object with that UID."""
    return bool(session.scalar(select(exists().where(result_table.c.sop_instance_uid == sop_instance_uid))))


def _fetch(session: Session, query: Select[Any]) -> list[Result]:
    return [Result(**row) for row in session.execute(query).mappings()]
