"""Timed jobs as their processes recorded them: which are overdue, and a list for administrators."""

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timedelta

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from dicom_node.process.clock import utc_now
from dicom_node.settings import Settings
from store.db.database import Database
from store.db.utc_text import utc_text
from store.rows import scheduled_jobs
from store.rows.scheduled_jobs import ScheduledJob

INTERVALS = 3
GRACE = timedelta(minutes=1)
"""On top: processes start, and write down how jobs went, in less."""
LONGEST_RUN = timedelta(hours=1)
"""A long delivery is not a job that hangs."""


def overdue(jobs: Iterable[ScheduledJob], *, now: datetime) -> list[ScheduledJob]:
    """Return the jobs whose last success, or the start of their process, is older than three intervals."""
    return [job for job in jobs if _is_overdue(job, now)]


def run_schedule(settings: Settings, *, as_json: bool) -> int:
    """Print the timed jobs; return the exit code.

    Raises:
        StoreError: the database cannot be read.
    """
    with closing(Database(settings.store_url)) as database, database.read() as session:
        jobs = scheduled_jobs.all_jobs(session)
    now = utc_now()
    late = overdue(jobs, now=now)
    if as_json:
        typer.echo(json.dumps({"jobs": [_document(job, is_overdue=job in late) for job in jobs]}, indent=2))
    else:
        Console().print(_table(jobs, late))
    return 0


def _is_overdue(job: ScheduledJob, now: datetime) -> bool:
    limit = timedelta(seconds=INTERVALS * job.interval_s) + GRACE
    # abs: after the clock was set back, the last success lies in the future.
    age = min(abs(now - at) for at in (job.since, job.last_success_at) if at is not None)
    return age > limit and not _runs_well(job, now)


def _runs_well(job: ScheduledJob, now: datetime) -> bool:
    """Tell whether the job is in the middle of a run, not yet for too long, and failed not before."""
    started, finished = job.last_started_at, job.last_finished_at
    if started is None or job.last_result == "failure" or (finished is not None and finished >= started):
        return False
    return abs(now - started) <= LONGEST_RUN


def _document(job: ScheduledJob, *, is_overdue: bool) -> dict[str, object]:
    values = {
        key: utc_text(value) if isinstance(value, datetime) else value for key, value in asdict(job).items()
    }
    return {**values, "overdue": is_overdue}


def _table(jobs: Sequence[ScheduledJob], late: Sequence[ScheduledJob]) -> Table:
    table = Table("role", "job", "every", "last run", "result", "failures", "next run", box=SIMPLE)
    for job in jobs:
        result = job.last_result or "-"
        words = [result, job.error or "", "overdue" if job in late else ""]
        table.add_row(
            job.role,
            job.name,
            str(timedelta(seconds=job.interval_s)),
            _time(job.last_started_at),
            ", ".join(word for word in words if word),
            str(job.failures),
            _time(job.next_run_at),
        )
    table.caption = "times are UTC; written down every ten seconds" if jobs else "no process has run any yet"
    return table


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
