"""Files that retention removed; their rows stay."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {"instances": "instance_with_file", "results": "result_with_file"}


def upgrade() -> None:
    for table, index in INDEXES.items():
        op.add_column(table, sa.Column("file_gone_at", sa.String(27)))
        op.create_index(index, table, ["study_uid"], sqlite_where=sa.text("file_gone_at IS NULL"))


def downgrade() -> None:
    for table, index in INDEXES.items():
        op.drop_index(index, table)
        op.drop_column(table, "file_gone_at")
