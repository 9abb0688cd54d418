"""Storage commitment on both sides, patience by time, and legal moves enforced by triggers."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DELIVERY_STATES = ("PENDING", "DELIVERED", "SENT", "COMMITTED", "DEAD")
FORMER_DELIVERY_STATES = ("PENDING", "DELIVERED", "DEAD")
CREATED_AT = "(SELECT created_at FROM results WHERE results.id = result_id)"

FIRST = {
    "instances": "RECEIVED KEPT OWN",
    "studies": "RECEIVING",
    "jobs": "QUEUED",
    "deliveries": "PENDING",
    "commitment_requests": "ASKED",
    "commitment_reports": "PENDING",
}
MOVES = {
    "instances": """RECEIVED>MEASURED RECEIVED>NOT_MEASURED MEASURED>MEASURED MEASURED>NOT_MEASURED
        NOT_MEASURED>MEASURED NOT_MEASURED>NOT_MEASURED""",
    "studies": """RECEIVING>READY READY>PROCESSING READY>RECEIVING PROCESSING>DONE PROCESSING>FAILED
        PROCESSING>READY PROCESSING>RECEIVING DONE>READY DONE>RECEIVING FAILED>READY FAILED>RECEIVING""",
    "jobs": "QUEUED>RUNNING RUNNING>DONE RUNNING>DEAD RUNNING>QUEUED",
    "deliveries": """PENDING>DELIVERED PENDING>SENT PENDING>DEAD SENT>COMMITTED SENT>PENDING SENT>DEAD
        DEAD>PENDING""",
    "commitment_requests": "ASKED>ANSWERED",
    "commitment_reports": "PENDING>REPORTED PENDING>DEAD REPORTED>PENDING DEAD>PENDING",
}
ON_INSERT = """
CREATE TRIGGER {table}_first_state BEFORE INSERT ON {table}
WHEN NEW.state NOT IN ({allowed})
BEGIN SELECT RAISE(ABORT, '{table} does not begin in this state'); END
"""
ON_UPDATE = """
CREATE TRIGGER {table}_legal_move BEFORE UPDATE OF state ON {table}
WHEN OLD.state || '>' || NEW.state NOT IN ({allowed})
BEGIN SELECT RAISE(ABORT, '{table} may not move to this state'); END
"""


def upgrade() -> None:
    _rebuild_deliveries(
        DELIVERY_STATES, {"waiting_since": CREATED_AT, "asks": "0"}, _time("waiting_since"), _count("asks")
    )
    _requests()
    _reports()
    for table, moves in MOVES.items():
        op.execute(ON_INSERT.format(table=table, allowed=_quoted(FIRST[table])))
        op.execute(ON_UPDATE.format(table=table, allowed=_quoted(moves)))


def downgrade() -> None:
    for table in MOVES:
        op.execute(f"DROP TRIGGER {table}_first_state")
        op.execute(f"DROP TRIGGER {table}_legal_move")
    for table in ("commitment_items", "commitment_requests", "commitment_reports"):
        op.drop_table(table)
    # The destination took them: that is all the former version knew.
    former = "CASE WHEN state IN ('SENT', 'COMMITTED') THEN 'DELIVERED' ELSE state END"
    _rebuild_deliveries(FORMER_DELIVERY_STATES, {"state": former})


def _quoted(words: str) -> str:
    return ", ".join(f"'{word}'" for word in words.split())


def _words(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, native_enum=False, create_constraint=True, name=name)


def _time(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(27), nullable=nullable)


def _count(name: str, *, of: str = "delivery") -> sa.Column[int]:
    at_least_none = sa.CheckConstraint(f"{name} >= 0", name=f"{of}_{name}")
    return sa.Column(name, sa.Integer, at_least_none, nullable=False)


def _rebuild_deliveries(states: tuple[str, ...], values: Mapping[str, str], *more: sa.Column[Any]) -> None:
    """SQLite cannot change a check: the table is made anew; `values` are SQL by column, the others copied."""
    op.execute("CREATE TABLE former_deliveries AS SELECT * FROM deliveries")
    op.drop_table("deliveries")
    made = op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("result_id", sa.Integer, sa.ForeignKey("results.id"), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("state", _words("delivery_state", *states), nullable=False, index=True),
        _count("attempts"),
        _time("next_attempt_at"),
        sa.Column("last_status", sa.Integer),
        sa.Column("error", sa.Text),
        *more,
        sa.UniqueConstraint("result_id", "destination", name="delivery_destination"),
    )
    names = [each.name for each in made.columns]
    columns, sources = ", ".join(names), ", ".join(values.get(name, name) for name in names)
    op.execute(f"INSERT INTO deliveries ({columns}) SELECT {sources} FROM former_deliveries")  # noqa: S608 - names from above
    op.execute("DROP TABLE former_deliveries")


def _requests() -> None:
    op.create_table(
        "commitment_requests",
        sa.Column("transaction_uid", sa.String(64), primary_key=True),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("state", _words("request_state", "ASKED", "ANSWERED"), nullable=False),
        _time("asked_at"),
        _time("answered_at", nullable=True),
    )
    op.create_table(
        "commitment_items",
        sa.Column(
            "transaction_uid",
            sa.String(64),
            sa.ForeignKey("commitment_requests.transaction_uid"),
            primary_key=True,
        ),
        sa.Column("delivery_id", sa.Integer, sa.ForeignKey("deliveries.id"), primary_key=True, index=True),
    )


def _reports() -> None:
    op.create_table(
        "commitment_reports",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("peer_ae", sa.String(64), nullable=False),
        sa.Column("peer_ip", sa.String(64), nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("state", _words("report_state", "PENDING", "REPORTED", "DEAD"), nullable=False, index=True),
        _count("attempts", of="report"),
        _time("next_attempt_at"),
        sa.Column("error", sa.Text),
        _time("created_at"),
        sa.UniqueConstraint("peer_ae", "transaction_uid", name="report_transaction"),
    )
