"""The tables. What is written here must also be written as a migration.

Times are ISO 8601 UTC text of fixed width, so that they sort as text and an admin can read them.
No column holds a patient name, id or birth date. Triggers (migration 0007) keep `row_counts`, `study_files`
and `deliveries.is_next`. The tables of the audit log are in `audit_schema`, those of files in `file_schema`.
"""

from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    Column,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from store.db.audit_schema import metadata
from store.db.states import DeliveryState, InstanceState, JobState, ReportState, RequestState, StudyState
from store.db.utc_text import UtcText

REVISION = "0009"
"""Of the newest migration."""


def _state(states: type[StrEnum], name: str) -> Enum:
    return Enum(states, native_enum=False, create_constraint=True, name=name)


study_table = Table(
    "studies",
    metadata,
    Column("study_uid", String(64), primary_key=True),
    Column("state", _state(StudyState, "study_state"), nullable=False),
    Column("revision", Integer, CheckConstraint("revision >= 1", name="study_revision"), nullable=False),
    Column("first_received_at", UtcText, nullable=False),
    Column("last_received_at", UtcText, nullable=False),
    Index("studies_waiting", "state", "first_received_at"),
)

instance_table = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("series_uid", String(64), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("path", String(255), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("peer_ae", String(64)),
    Column("peer_ip", String(64)),
    Column("state", _state(InstanceState, "instance_state"), nullable=False),
    Column("reason", String(64)),
    Column("detail", Text, nullable=False),
    Column("received_at", UtcText, nullable=False),
    Column("file_gone_at", UtcText),
)
# Retention looks for what is still there among years of rows.
Index("instance_with_file", instance_table.c.study_uid, sqlite_where=text("file_gone_at IS NULL"))

job_table = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_uid", ForeignKey("studies.study_uid"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", _state(JobState, "job_state"), nullable=False),
    Column("attempts", Integer, CheckConstraint("attempts >= 0", name="job_attempts"), nullable=False),
    Column("not_before", UtcText, nullable=False),
    Column("error", Text),
    Column("created_at", UtcText, nullable=False),
    Column("postponed", Integer, nullable=False, server_default="0"),
    UniqueConstraint("study_uid", "revision", name="job_revision"),
    Index("jobs_waiting", "state", "created_at"),
    Index("job_queued", "not_before", sqlite_where=text("state = 'QUEUED'")),
)
# Two revisions of a study at once would race for predecessor and order in the PACS.
Index(
    "job_one_running_per_study",
    job_table.c.study_uid,
    unique=True,
    sqlite_where=text("state = 'RUNNING'"),
)

result_table = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "kind",
        Enum(
            "tid5200",
            "tid1500",
            "tid5300",
            "overlay",
            "presentation_state",
            native_enum=False,
            create_constraint=True,
            name="result_kind",
        ),
        nullable=False,
    ),
    Column("study_uid", ForeignKey("studies.study_uid"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("source_sop_instance_uid", String(64), nullable=False, index=True),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("path", String(255), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcText, nullable=False),
    Column("file_gone_at", UtcText),
)
Index("result_with_file", result_table.c.study_uid, sqlite_where=text("file_gone_at IS NULL"))

delivery_table = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("result_id", ForeignKey("results.id"), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("state", _state(DeliveryState, "delivery_state"), nullable=False),
    Column("attempts", Integer, CheckConstraint("attempts >= 0", name="delivery_attempts"), nullable=False),
    Column("next_attempt_at", UtcText, nullable=False),
    Column("last_status", Integer),
    Column("error", Text),
    Column("waiting_since", UtcText, nullable=False),
    Column("asks", Integer, CheckConstraint("asks >= 0", name="delivery_asks"), nullable=False),
    # 1: the first PENDING one of its study and destination.
    Column("is_next", Integer, nullable=False, server_default="0"),
    UniqueConstraint("result_id", "destination", name="delivery_destination"),
    Index("deliveries_waiting", "state", "waiting_since"),
    Index("delivery_next", "destination", "next_attempt_at", sqlite_where=text("is_next = 1")),
    Index("delivery_sent", "destination", "next_attempt_at", sqlite_where=text("state = 'SENT'")),
)

# What we asked of destinations: a request per row, and the deliveries it is about.
commitment_request_table = Table(
    "commitment_requests",
    metadata,
    Column("transaction_uid", String(64), primary_key=True),
    Column("destination", String(64), nullable=False),
    Column("state", _state(RequestState, "request_state"), nullable=False),
    Column("asked_at", UtcText, nullable=False),
    Column("answered_at", UtcText),
)

commitment_item_table = Table(
    "commitment_items",
    metadata,
    Column("transaction_uid", ForeignKey("commitment_requests.transaction_uid"), primary_key=True),
    Column("delivery_id", ForeignKey("deliveries.id"), primary_key=True, index=True),
)

# What peers asked of us, until they have our answer.
commitment_report_table = Table(
    "commitment_reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", String(64), nullable=False),
    Column("peer_ae", String(64), nullable=False),
    Column("peer_ip", String(64), nullable=False),
    Column("items", Text, nullable=False),
    Column("state", _state(ReportState, "report_state"), nullable=False),
    Column("attempts", Integer, CheckConstraint("attempts >= 0", name="report_attempts"), nullable=False),
    Column("next_attempt_at", UtcText, nullable=False),
    Column("error", Text),
    Column("created_at", UtcText, nullable=False),
    UniqueConstraint("peer_ae", "transaction_uid", name="report_transaction"),
    Index("commitment_reports_waiting", "state", "created_at"),
    Index("report_pending", "peer_ae", sqlite_where=text("state = 'PENDING'")),
)

# How the timed jobs of each process went, for whoever asks without being that process.
scheduled_job_table = Table(
    "scheduled_jobs",
    metadata,
    Column("role", String(32), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("interval_s", Float, nullable=False),
    Column("since", UtcText, nullable=False),
    Column("last_started_at", UtcText),
    Column("last_finished_at", UtcText),
    Column("last_success_at", UtcText),
    Column(
        "last_result",
        Enum("success", "failure", native_enum=False, create_constraint=True, name="scheduled_job_result"),
    ),
    Column("error", Text),
    Column(
        "failures", Integer, CheckConstraint("failures >= 0", name="scheduled_job_failures"), nullable=False
    ),
    Column("next_run_at", UtcText),
)

# Kept up by triggers.
row_count_table = Table(
    "row_counts",
    metadata,
    Column("what", String(32), primary_key=True),
    Column("state", String(16), primary_key=True),
    Column("number", Integer, nullable=False),
)
