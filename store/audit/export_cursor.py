"""Cursors into the audit log: up to which row each receiver (such as a syslog server) has been sent it.

And how often it was tried in vain since.
"""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from store.audit import audit_log
from store.audit.audit_log import AuditEvent
from store.db.audit_schema import audit_event_table, audit_export_table


def exported_id(session: Session, name: str) -> int:
    """Return the id of the last row that was sent to the receiver `name`; 0 when none was."""
    return session.scalar(select(audit_export_table.c.last_id).where(audit_export_table.c.name == name)) or 0


def unsent(session: Session, name: str, *, limit: int) -> list[AuditEvent]:
    """Return at most `limit` rows that were not sent yet, oldest first."""
    return audit_log.after(session, exported_id(session, name), limit=limit)


def oldest_unsent(session: Session, name: str) -> datetime | None:
    """Return the time of the first row that was not sent yet; None when all were."""
    later = select(audit_event_table.c.at).where(audit_event_table.c.id > exported_id(session, name))
    return session.scalar(later.order_by(audit_event_table.c.id).limit(1))


def attempts(session: Session, name: str) -> int:
    """Return how often the receiver `name` was tried in vain since it last took something."""
    return session.scalar(select(audit_export_table.c.attempts).where(audit_export_table.c.name == name)) or 0


def advance(session: Session, name: str, last_id: int) -> None:
    """Record that all rows up to `last_id` were sent, none of it in vain; a cursor never moves back."""
    session.execute(insert(audit_export_table).on_conflict_do_nothing(), {"name": name, "last_id": last_id})
    behind = (audit_export_table.c.name == name) & (audit_export_table.c.last_id < last_id)
    session.execute(
        update(audit_export_table).where(behind).values(last_id=last_id, attempts=0, last_error=None)
    )


def record_failure(session: Session, name: str, error: str) -> int:
    """Count an attempt in vain with its reason; return how many there were since the last success."""
    first = insert(audit_export_table).values(name=name, last_id=0, attempts=1, last_error=error)
    again = {"attempts": audit_export_table.c.attempts + 1, "last_error": error}
    counted = first.on_conflict_do_update(index_elements=["name"], set_=again)
    return int(session.scalars(counted.returning(audit_export_table.c.attempts)).one())
