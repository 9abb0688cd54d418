"""What costs the same with a thousand studies and with a million: counts and queues kept by triggers.

On a large database this takes its time, once: it reads every row of studies, instances, jobs and results.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WITH_AGE = {
    "studies": "first_received_at",
    "jobs": "created_at",
    "deliveries": "waiting_since",
    "commitment_reports": "created_at",
}
"""Tables whose index of states now holds the begin of waiting too."""
NEXT_OF_LINE = """
SELECT min(waiting.id) FROM results AS mine
CROSS JOIN results AS made ON made.study_uid = mine.study_uid
CROSS JOIN deliveries AS waiting ON waiting.result_id = made.id
    AND waiting.destination = NEW.destination AND waiting.state = 'PENDING'
WHERE mine.id = NEW.result_id
"""
JOINS_LINE = f"""
UPDATE deliveries SET is_next = 0 WHERE is_next = 1 AND id > NEW.id AND destination = NEW.destination
    AND result_id IN (SELECT made.id FROM results AS mine
        CROSS JOIN results AS made ON made.study_uid = mine.study_uid WHERE mine.id = NEW.result_id);
UPDATE deliveries SET is_next = 1 WHERE id = NEW.id AND id = ({NEXT_OF_LINE});
"""  # noqa: S608 - SQL from above
LEAVES_LINE = f"""
UPDATE deliveries SET is_next = 0 WHERE id = NEW.id;
UPDATE deliveries SET is_next = 1 WHERE id = ({NEXT_OF_LINE});
"""  # noqa: S608 - SQL from above
LINE = {
    "deliveries_line_new": f"AFTER INSERT ON deliveries WHEN NEW.state = 'PENDING' BEGIN {JOINS_LINE} END",
    "deliveries_line_again": f"""AFTER UPDATE OF state ON deliveries
        WHEN NEW.state = 'PENDING' AND OLD.state <> 'PENDING' BEGIN {JOINS_LINE} END""",
    "deliveries_line_left": f"""AFTER UPDATE OF state ON deliveries
        WHEN OLD.state = 'PENDING' AND NEW.state <> 'PENDING' BEGIN {LEAVES_LINE} END""",
}
FIRST_OF_EACH_LINE = """
UPDATE deliveries SET is_next = 1 WHERE id IN (
    SELECT min(waiting.id) FROM deliveries AS waiting JOIN results ON results.id = waiting.result_id
    WHERE waiting.state = 'PENDING' GROUP BY waiting.destination, results.study_uid)
"""
COUNTED = {
    "study": "studies",
    "instance": "instances",
    "job": "jobs",
    "delivery": "deliveries",
    "commitment_report": "commitment_reports",
}
ONE_MORE = """
INSERT INTO row_counts VALUES ('{what}', NEW.state, 1)
    ON CONFLICT (what, state) DO UPDATE SET number = number + 1;
"""
ONE_LESS = "UPDATE row_counts SET number = number - 1 WHERE what = '{what}' AND state = OLD.state;"
COUNTS = {
    "{table}_count_insert": f"AFTER INSERT ON {{table}} BEGIN {ONE_MORE} END",
    "{table}_count_delete": f"AFTER DELETE ON {{table}} BEGIN {ONE_LESS} END",
    "{table}_count_move": (
        "AFTER UPDATE OF state ON {table} WHEN NEW.state <> OLD.state " + f"BEGIN {ONE_LESS} {ONE_MORE} END"
    ),
}
STORED = {"instance": ("instances", "received_at"), "result": ("results", "created_at")}
HAS_FILE = """
INSERT INTO study_files VALUES ('{what}', NEW.study_uid, NEW.{at}) ON CONFLICT (kind, study_uid) DO NOTHING;
"""
HAS_NONE = """
DELETE FROM study_files WHERE kind = '{what}' AND study_uid = NEW.study_uid
    AND NOT EXISTS (SELECT 1 FROM {table} WHERE study_uid = NEW.study_uid AND file_gone_at IS NULL);
"""
FILES = {
    "{table}_file_stored": f"AFTER INSERT ON {{table}} WHEN NEW.file_gone_at IS NULL BEGIN {HAS_FILE} END",
    "{table}_file_back": (
        f"AFTER UPDATE OF file_gone_at ON {{table}} WHEN NEW.file_gone_at IS NULL BEGIN {HAS_FILE} END"
    ),
    "{table}_file_gone": (
        f"AFTER UPDATE OF file_gone_at ON {{table}} WHEN NEW.file_gone_at IS NOT NULL BEGIN {HAS_NONE} END"
    ),
}
# Segments follow one another without a gap (audit_segments_in_order): below the highest id all is sealed.
SEALED = "OLD.id <= (SELECT coalesce(max(last_id), 0) FROM audit_segments)"
FORMERLY_SEALED = "EXISTS (SELECT 1 FROM audit_segments WHERE OLD.id BETWEEN first_id AND last_id)"
NO_DELETE = """
CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events WHEN NOT {sealed}
BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END
"""


def upgrade() -> None:
    _tables()
    op.add_column("deliveries", sa.Column("is_next", sa.Integer, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("postponed", sa.Integer, nullable=False, server_default="0"))
    for table, at in WITH_AGE.items():
        op.drop_index(f"ix_{table}_state", table)
        op.create_index(f"{table}_waiting", table, ["state", at])
    op.execute(FIRST_OF_EACH_LINE)
    _partial("delivery_next", "deliveries", "is_next = 1", "destination", "next_attempt_at")
    _partial("delivery_sent", "deliveries", "state = 'SENT'", "destination", "next_attempt_at")
    _partial("job_queued", "jobs", "state = 'QUEUED'", "not_before")
    _partial("report_pending", "commitment_reports", "state = 'PENDING'", "peer_ae")
    _fill()
    for name, body in LINE.items():
        op.execute(f"CREATE TRIGGER {name} {body}")
    for name, table, body in _triggers():
        op.execute(f"CREATE TRIGGER {name} {body}".replace("{table}", table))
    _replace_no_delete(SEALED)


def downgrade() -> None:
    _replace_no_delete(FORMERLY_SEALED)
    for name in [*LINE, *(name for name, *_ in _triggers())]:
        op.execute(f"DROP TRIGGER {name}")
    for name, table in (
        ("report_pending", "commitment_reports"),
        ("job_queued", "jobs"),
        ("delivery_sent", "deliveries"),
        ("delivery_next", "deliveries"),
    ):
        op.drop_index(name, table)
    for table in WITH_AGE:
        op.drop_index(f"{table}_waiting", table)
        op.create_index(f"ix_{table}_state", table, ["state"])
    op.drop_column("jobs", "postponed")
    op.drop_column("deliveries", "is_next")
    for table in (
        "audit_unindexed_segments",
        "audit_segment_studies",
        "file_scans",
        "file_removals",
        "study_files",
        "row_counts",
    ):
        op.drop_table(table)


def _partial(name: str, table: str, where: str, *columns: str) -> None:
    op.create_index(name, table, list(columns), sqlite_where=sa.text(where))


def _triggers() -> list[tuple[str, str, str]]:
    """Return name, table and SQL of the triggers that keep counts and files."""
    counts = [
        (name.format(table=table), table, body.format(what=what, table=table))
        for what, table in COUNTED.items()
        for name, body in COUNTS.items()
    ]
    files = [
        (name.format(table=table), table, body.format(what=what, table=table, at=at))
        for what, (table, at) in STORED.items()
        for name, body in FILES.items()
    ]
    return counts + files


def _replace_no_delete(sealed: str) -> None:
    op.execute("DROP TRIGGER audit_events_no_delete")
    op.execute(NO_DELETE.format(sealed=sealed))


def _tables() -> None:
    op.create_table(
        "row_counts",
        sa.Column("what", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_table(
        "study_files",
        sa.Column("kind", _file_kind(), primary_key=True),
        sa.Column("study_uid", sa.String(64), primary_key=True),
        sa.Column("last_event_at", sa.String(27), nullable=False),
    )
    op.create_index("study_files_by_age", "study_files", ["kind", "last_event_at", "study_uid"])
    op.create_table(
        "file_removals",
        sa.Column("path", sa.String(255), primary_key=True),
        sa.Column("kind", _file_kind(), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("because", sa.String(16), nullable=False),
    )
    op.create_table(
        "file_scans",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("because", sa.String(64), nullable=False),
        sa.Column("finished_at", sa.String(27)),
    )
    op.create_table(
        "audit_segment_studies",
        sa.Column("study_uid", sa.String(128), primary_key=True),
        sa.Column("first_id", sa.Integer, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table("audit_unindexed_segments", sa.Column("first_id", sa.Integer, primary_key=True))


def _file_kind() -> sa.Enum:
    return sa.Enum("instance", "result", native_enum=False, create_constraint=True, name="file_kind")


def _fill() -> None:
    for what, table in COUNTED.items():
        op.execute(f"INSERT INTO row_counts SELECT '{what}', state, count(*) FROM {table} GROUP BY state")  # noqa: S608 - names from above
    for what, (table, at) in STORED.items():
        op.execute(
            f"INSERT INTO study_files SELECT '{what}', study_uid, min({at}) FROM {table}"  # noqa: S608 - names from above
            " WHERE file_gone_at IS NULL GROUP BY study_uid"
        )
    op.execute("INSERT INTO audit_unindexed_segments SELECT first_id FROM audit_segments")
    # Files without a row, which a version before this one may have left, are looked for once.
    op.execute("INSERT INTO file_scans (because) VALUES ('the tables are new')")
