"""Files that a job announces before it writes them, so that none stays that no row names."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "announced_results",
        sa.Column("path", sa.String(255), primary_key=True),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("jobs.id"), nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("announced_results")
