"""Structured reports by template, and presentation states."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KINDS = ("tid5200", "tid1500", "tid5300", "overlay", "presentation_state")
FORMER_KINDS = ("sr", "overlay")


def upgrade() -> None:
    _rebuild(KINDS, {"sr": "tid5200"})


def downgrade() -> None:
    op.execute(
        "DELETE FROM deliveries WHERE result_id IN "
        "(SELECT id FROM results WHERE kind NOT IN ('tid5200', 'overlay'))"
    )
    op.execute("DELETE FROM results WHERE kind NOT IN ('tid5200', 'overlay')")
    _rebuild(FORMER_KINDS, {"tid5200": "sr"})


def _rebuild(kinds: tuple[str, ...], renamed: dict[str, str]) -> None:
    """SQLite cannot change a check: the table is made anew, its deliveries point at nothing meanwhile."""
    op.execute("PRAGMA defer_foreign_keys=ON")
    op.execute("CREATE TABLE former_results AS SELECT * FROM results")
    op.drop_table("results")
    made = op.create_table(
        "results",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "kind",
            sa.Enum(*kinds, native_enum=False, create_constraint=True, name="result_kind"),
            nullable=False,
        ),
        sa.Column("study_uid", sa.String(64), sa.ForeignKey("studies.study_uid"), nullable=False, index=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("source_sop_instance_uid", sa.String(64), nullable=False, index=True),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("path", sa.String(255), nullable=False, unique=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
    )
    former = sa.table("former_results", *(sa.column(each.name) for each in made.columns))
    kind = sa.case(renamed, value=former.c.kind, else_=former.c.kind)
    values = [kind if each.name == "kind" else each for each in former.c]
    op.execute(sa.insert(made).from_select([each.name for each in former.c], sa.select(*values)))
    op.execute("DROP TABLE former_results")
