"""How the timed jobs of each process went."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scheduled_jobs",
        sa.Column("role", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("interval_s", sa.Float, nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.Column("last_started_at", sa.String(27)),
        sa.Column("last_finished_at", sa.String(27)),
        sa.Column("last_success_at", sa.String(27)),
        sa.Column(
            "last_result",
            sa.Enum(
                "success", "failure", native_enum=False, create_constraint=True, name="scheduled_job_result"
            ),
        ),
        sa.Column("error", sa.Text),
        sa.Column(
            "failures",
            sa.Integer,
            sa.CheckConstraint("failures >= 0", name="scheduled_job_failures"),
            nullable=False,
        ),
        sa.Column("next_run_at", sa.String(27)),
    )


def downgrade() -> None:
    op.drop_table("scheduled_jobs")
