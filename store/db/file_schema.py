"""The tables of files: what is kept, to be written or to be removed, for whoever goes on after a crash."""

from sqlalchemy import Column, Enum, ForeignKey, Index, Integer, String, Table

from store.db.audit_schema import metadata
from store.db.utc_text import UtcText


def _file_kind() -> Enum:
    return Enum("instance", "result", native_enum=False, create_constraint=True, name="file_kind")


# Studies whose files exist. Retention moves `last_event_at`, which begins with the first file, forward.
study_file_table = Table(
    "study_files",
    metadata,
    Column("kind", _file_kind(), primary_key=True),
    Column("study_uid", String(64), primary_key=True),
    Column("last_event_at", UtcText, nullable=False),
    Index("study_files_by_age", "kind", "last_event_at", "study_uid"),
)

# Files whose rows say that they are gone, until they are.
file_removal_table = Table(
    "file_removals",
    metadata,
    Column("path", String(255), primary_key=True),
    Column("kind", _file_kind(), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("because", String(16), nullable=False),
)

# Files that a running job is about to write, or has written; their rows follow when it ends.
announced_result_table = Table(
    "announced_results",
    metadata,
    Column("path", String(255), primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False, index=True),
)

# Requests to look for files without a row: after a restore, and once with new tables.
file_scan_table = Table(
    "file_scans",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("because", String(64), nullable=False),
    Column("finished_at", UtcText),
)
