"""Changes of a study's state: the only module that writes `studies.state`."""

from datetime import datetime
from typing import TypedDict

from sqlalchemy import RowMapping, select, update
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.db.schema import study_table
from store.db.states import StudyState, check_transition
from store.rows.queries import only_row


class StudyChanges(TypedDict, total=False):
    """New values of columns besides `state`."""

    revision: int
    first_received_at: datetime
    last_received_at: datetime


def study_row(session: Session, study_uid: str) -> RowMapping:
    """Return the row of a study.

    Raises:
        NotFound: no instance of it was ever received.
    """
    query = select(study_table).where(study_table.c.study_uid == study_uid)
    return only_row(session, query, f"study {study_uid}")


def transition_study(
    session: Session,
    study_uid: str,
    new: StudyState,
    *,
    now: datetime,
    event: str | None = None,
    changes: StudyChanges | None = None,
) -> None:
    """Change the state of a study, and other columns with it; record the event, study.STATE by default.

    Raises:
        NotFound: it has no row.
        IllegalTransition: see `LEGAL_TRANSITIONS`.
    """
    row, changes = study_row(session, study_uid), changes or {}
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
