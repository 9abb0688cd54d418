"""The database triggers that make the audit tables append-only, as the migrations create them."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

ABORT = "BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
# INSERT OR REPLACE deletes a row without firing the delete trigger. Ids of sealed rows are never reused.
ID_IN_USE = """WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
OR NEW.id <= (SELECT max(last_id) FROM audit_segments)"""
# Segments follow one another without a gap (below): up to the highest id everything is sealed.
SEALED = "OLD.id <= (SELECT coalesce(max(last_id), 0) FROM audit_segments)"
# A segment must continue the one before, and its first and last row must still be in the table.
NOT_CONTIGUOUS = """WHEN NEW.first_id <> (SELECT coalesce(max(last_id), 0) + 1 FROM audit_segments)
OR NOT EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.first_id AND prev_hash = NEW.first_prev_hash)
OR NOT EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.last_id AND hash = NEW.last_hash)
OR EXISTS (SELECT 1 FROM audit_segments WHERE id = NEW.id)"""

TRIGGERS = {
    "audit_events_no_update": f"BEFORE UPDATE ON audit_events {ABORT.format(table='audit_events')}",
    "audit_events_no_delete": (
        f"BEFORE DELETE ON audit_events WHEN NOT {SEALED} {ABORT.format(table='audit_events')}"
    ),
    "audit_events_no_replace": (
        f"BEFORE INSERT ON audit_events {ID_IN_USE} {ABORT.format(table='audit_events')}"
    ),
    "audit_segments_no_update": f"BEFORE UPDATE ON audit_segments {ABORT.format(table='audit_segments')}",
    "audit_segments_no_delete": f"BEFORE DELETE ON audit_segments {ABORT.format(table='audit_segments')}",
    "audit_segments_in_order": (
        f"BEFORE INSERT ON audit_segments {NOT_CONTIGUOUS} {ABORT.format(table='audit_segments')}"
    ),
}
"""SQL of each trigger after `CREATE TRIGGER name`."""


def missing(session: Session) -> Iterator[str]:
    """Yield the names of triggers that are missing from the database or have other SQL."""
    query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    found = {row.name: _plain(row.sql) for row in session.execute(query)}
    for name, body in TRIGGERS.items():
        if found.get(name) != _plain(f"CREATE TRIGGER {name} {body}"):
            yield name


def _plain(sql: str) -> str:
    return " ".join(sql.split()).casefold()
