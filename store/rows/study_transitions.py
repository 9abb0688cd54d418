"""Moving a study from state to state: the one place that writes `studies.state`."""

from datetime import datetime

from sqlalchemy import RowMapping, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import study_table
from store.db.states import StudyState, check_transition
from store.errors import NotFound


def study_row(session: Session, study_uid: str) -> RowMapping:
    """The row of a study.

    Raises:
        NotFound: no instance of it was ever received.
    """
    row = (
        session.execute(select(study_table).where(study_table.c.study_uid == study_uid))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound(f"no study {study_uid}")
    return row


def transition_study(
    session: Session,
    study_uid: str,
    new: StudyState,
    *,
    now: datetime,
    event: str | None = None,
    **changes: object,
) -> None:
    """Move a study, with `changes` to its other columns, and record it.

    Raises:
        NotFound: no such study.
        IllegalMove: see `LEGAL_MOVES`.
    """
    row = study_row(session, study_uid)
    check_transition(row["state"], new)
    session.execute(
        update(study_table).where(study_table.c.study_uid == study_uid), {"state": new, **changes}
    )
    audit_log.record(
        session,
        event or f"study.{new.lower()}",
        "failure" if new is StudyState.FAILED else "success",
        at=now,
        study_uid=study_uid,
        detail={"from": row["state"], "revision": changes.get("revision", row["revision"])},
    )
