"""How the timed jobs of each process went: one row a job, written by the process that runs it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import String, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from store.db.schema import scheduled_job_table as table

# Built once, and executed for many rows at a time: SQLAlchemy takes longer than SQLite.
ROLE, NAME = bindparam("its_role", type_=String), bindparam("its_name", type_=String)
VALUES = {
    column.name: bindparam(column.name, type_=column.type) for column in table.c if not column.primary_key
}
UPDATE = update(table).where(table.c.role == ROLE, table.c.name == NAME).values(VALUES)
INSERT = insert(table).values({"role": ROLE, "name": NAME, **VALUES})
ALL = select(table).order_by(table.c.role, table.c.name)

RunResult = Literal["success", "failure"]


@dataclass(frozen=True, kw_only=True)
class ScheduledJob:
    """A timed job of a process and its last run; None: there was none yet."""

    role: str
    name: str
    interval_s: float
    """Seconds from one run to the next."""
    since: datetime
    """When the process that runs it was started."""
    last_started_at: datetime | None = None
    """Later than `last_finished_at` while it runs."""
    last_finished_at: datetime | None = None
    last_success_at: datetime | None = None
    last_result: RunResult | None = None
    error: str | None = None
    """Why the last run failed; "" when it did not."""
    failures: int = 0
    """How many runs failed ever; in what is given to `record`: since it was last recorded."""
    next_run_at: datetime | None = None
    """When it runs next; None when its process was stopped."""


def record(session: Session, role: str, jobs: Sequence[ScheduledJob]) -> None:
    """Write what is known about jobs of a process; what is None stays as it was, `failures` are added."""
    known = {job.name: job for job in all_jobs(session) if job.role == role}
    rows = [_row(job, known.get(job.name)) for job in jobs]
    for statement, chosen in (
        (UPDATE, [row for row in rows if row["its_name"] in known]),
        (INSERT, [row for row in rows if row["its_name"] not in known]),
    ):
        if chosen:
            session.connection().execute(statement, chosen)


def keep_only(session: Session, role: str, names: Sequence[str]) -> None:
    """Forget jobs that a process had before its settings or its version changed."""
    session.execute(delete(table).where(table.c.role == role, table.c.name.not_in(names)))


def all_jobs(session: Session) -> list[ScheduledJob]:
    """Return every job, by role and name."""
    return [ScheduledJob(**row) for row in session.execute(ALL).mappings()]


def _row(job: ScheduledJob, known: ScheduledJob | None) -> dict[str, Any]:
    values = {name: value for name, value in asdict(job).items() if name not in {"role", "name"}}
    if known is not None:
        kept = {name: getattr(known, name) for name, value in values.items() if value is None}
        values |= {**kept, "failures": known.failures + job.failures, "next_run_at": job.next_run_at}
    return {"its_role": job.role, "its_name": job.name, **values}
