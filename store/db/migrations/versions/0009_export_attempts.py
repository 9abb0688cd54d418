"""How often a receiver of audit messages was tried in vain, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_exports", sa.Column("attempts", sa.Integer, nullable=False, server_default="0"))
    op.add_column("audit_exports", sa.Column("last_error", sa.Text))


def downgrade() -> None:
    for column in ("last_error", "attempts"):
        op.drop_column("audit_exports", column)
