"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STUDY_STATES = ("RECEIVING", "READY", "PROCESSING", "DONE", "FAILED")
INSTANCE_STATES = ("RECEIVED", "MEASURED", "NOT_MEASURED", "KEPT", "OWN")
JOB_STATES = ("QUEUED", "RUNNING", "DONE", "DEAD")
DELIVERY_STATES = ("PENDING", "DELIVERED", "DEAD")

APPEND_ONLY = """
CREATE TRIGGER audit_events_no_{verb} BEFORE {verb} ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END
"""
# INSERT OR REPLACE deletes without calling the delete trigger.
NO_REPLACE = """
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END
"""


def upgrade() -> None:
    _studies_and_instances()
    _jobs()
    _results_and_deliveries()
    _audit()


def downgrade() -> None:
    for table in ("deliveries", "results", "jobs", "instances", "studies", "audit_events"):
        op.drop_table(table)


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, native_enum=False, create_constraint=True, name=name)


def _time(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(27), nullable=False)


def _studies_and_instances() -> None:
    op.create_table(
        "studies",
        sa.Column("study_uid", sa.String(64), primary_key=True),
        sa.Column("state", _words("study_state", *STUDY_STATES), nullable=False, index=True),
        sa.Column(
            "revision", sa.Integer, sa.CheckConstraint("revision >= 1", name="study_revision"), nullable=False
        ),
        _time("first_received_at"),
        _time("last_received_at"),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False, index=True),
        sa.Column("series_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("path", sa.String(255), nullable=False, unique=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("peer_ae", sa.String(64)),
        sa.Column("peer_ip", sa.String(64)),
        sa.Column("state", _words("instance_state", *INSTANCE_STATES), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("detail", sa.Text, nullable=False),
        _time("received_at"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_uid", sa.String(64), sa.ForeignKey("studies.study_uid"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", _words("job_state", *JOB_STATES), nullable=False, index=True),
        sa.Column(
            "attempts", sa.Integer, sa.CheckConstraint("attempts >= 0", name="job_attempts"), nullable=False
        ),
        _time("not_before"),
        sa.Column("error", sa.Text),
        _time("created_at"),
        sa.UniqueConstraint("study_uid", "revision", name="job_revision"),
    )
    op.create_index(
        "job_one_running_per_study",
        "jobs",
        ["study_uid"],
        unique=True,
        sqlite_where=sa.text("state = 'RUNNING'"),
    )


def _results_and_deliveries() -> None:
    op.create_table(
        "results",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", _words("result_kind", "sr", "overlay"), nullable=False),
        sa.Column("study_uid", sa.String(64), sa.ForeignKey("studies.study_uid"), nullable=False, index=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("source_sop_instance_uid", sa.String(64), nullable=False, index=True),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("path", sa.String(255), nullable=False, unique=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        _time("created_at"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("result_id", sa.Integer, sa.ForeignKey("results.id"), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("state", _words("delivery_state", *DELIVERY_STATES), nullable=False, index=True),
        sa.Column(
            "attempts",
            sa.Integer,
            sa.CheckConstraint("attempts >= 0", name="delivery_attempts"),
            nullable=False,
        ),
        _time("next_attempt_at"),
        sa.Column("last_status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("result_id", "destination", name="delivery_destination"),
    )


def _audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Integer, primary_key=True),
        _time("at"),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("outcome", _words("audit_outcome", "success", "refused", "failure"), nullable=False),
        sa.Column("peer_ae", sa.String(128)),
        sa.Column("peer_ip", sa.String(128)),
        sa.Column("study_uid", sa.String(128), index=True),
        sa.Column("sop_instance_uid", sa.String(128)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    for verb in ("update", "delete"):
        op.execute(APPEND_ONLY.format(verb=verb))
    op.execute(NO_REPLACE)
