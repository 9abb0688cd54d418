"""Sealed segments of the audit log, and how far it was sent to other machines."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

REFUSED = "BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"

NO_DELETE = "CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events "
UNLESS_SEALED = """
WHEN NOT EXISTS (SELECT 1 FROM audit_segments WHERE OLD.id BETWEEN first_id AND last_id)
"""
NO_REPLACE = """
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
"""
NOR_SEALED = "OR NEW.id <= (SELECT max(last_id) FROM audit_segments) "
SEGMENTS_APPEND_ONLY = "CREATE TRIGGER audit_segments_no_{verb} BEFORE {verb} ON audit_segments "
SEGMENTS_IN_ORDER = """
CREATE TRIGGER audit_segments_in_order BEFORE INSERT ON audit_segments
WHEN NEW.first_id <> (SELECT coalesce(max(last_id), 0) + 1 FROM audit_segments)
OR NOT EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.first_id AND prev_hash = NEW.first_prev_hash)
OR NOT EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.last_id AND hash = NEW.last_hash)
OR EXISTS (SELECT 1 FROM audit_segments WHERE id = NEW.id)
"""


def upgrade() -> None:
    op.create_table(
        "audit_segments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("first_id", sa.Integer, nullable=False, unique=True),
        sa.Column("last_id", sa.Integer, nullable=False, unique=True),
        sa.Column("first_prev_hash", sa.String(64), nullable=False),
        sa.Column("last_hash", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("sealed_at", sa.String(27), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.CheckConstraint('first_id + "rows" = last_id + 1 AND "rows" > 0', name="segment_rows"),
    )
    op.create_table(
        "audit_exports",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("last_id", sa.Integer, nullable=False),
    )
    for verb in ("delete", "replace"):
        op.execute(f"DROP TRIGGER audit_events_no_{verb}")
    op.execute(NO_DELETE + UNLESS_SEALED + REFUSED.format(table="audit_events"))
    op.execute(NO_REPLACE + NOR_SEALED + REFUSED.format(table="audit_events"))
    for verb in ("update", "delete"):
        op.execute(SEGMENTS_APPEND_ONLY.format(verb=verb) + REFUSED.format(table="audit_segments"))
    op.execute(SEGMENTS_IN_ORDER + REFUSED.format(table="audit_segments"))


def downgrade() -> None:
    for verb in ("delete", "replace"):
        op.execute(f"DROP TRIGGER audit_events_no_{verb}")
    op.execute(NO_DELETE + REFUSED.format(table="audit_events"))
    op.execute(NO_REPLACE + REFUSED.format(table="audit_events"))
    op.drop_table("audit_exports")
    op.drop_table("audit_segments")
