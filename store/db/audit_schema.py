"""The tables of the audit log; the others are in `schema`."""

from sqlalchemy import CheckConstraint, Column, Enum, Integer, MetaData, String, Table, Text

from store.db.utc_text import UtcText

metadata = MetaData()

audit_event_table = Table(
    "audit_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcText, nullable=False),
    Column("event", String(64), nullable=False),
    Column(
        "outcome",
        Enum(
            "success", "refused", "failure", native_enum=False, create_constraint=True, name="audit_outcome"
        ),
        nullable=False,
    ),
    Column("peer_ae", String(128)),
    Column("peer_ip", String(128)),
    Column("study_uid", String(128), index=True),
    Column("sop_instance_uid", String(128)),
    Column("detail", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    # Remembers the highest id ever given, so that a cut tail shows.
    sqlite_autoincrement=True,
)

audit_segment_table = Table(
    "audit_segments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("first_id", Integer, nullable=False, unique=True),
    Column("last_id", Integer, nullable=False, unique=True),
    Column("first_prev_hash", String(64), nullable=False),
    Column("last_hash", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("sealed_at", UtcText, nullable=False),
    Column("rows", Integer, nullable=False),
    CheckConstraint('first_id + "rows" = last_id + 1 AND "rows" > 0', name="segment_rows"),
)

audit_export_table = Table(
    "audit_exports",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("last_id", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
)

# In which segments a study occurs, so that `audit --study` reads no others.
audit_segment_study_table = Table(
    "audit_segment_studies",
    metadata,
    Column("study_uid", String(128), primary_key=True),
    Column("first_id", Integer, primary_key=True),
    sqlite_with_rowid=False,
)

# The segments whose studies are not in that table yet: an earlier version has sealed them.
audit_unindexed_segment_table = Table(
    "audit_unindexed_segments",
    metadata,
    Column("first_id", Integer, primary_key=True),
)
