"""Timed jobs as health check, metrics and administrator see them: by rows, without their process."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from support.certificates import Authority
from support.databases import upgraded
from support.node import runtime
from support.node_runtime import Volume
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.errors import SettingsError
from dicom_node.monitoring.certificates import warn_of_expiry
from dicom_node.monitoring.metrics import registry
from dicom_node.monitoring.schedule import GRACE, LONGEST_RUN, overdue
from dicom_node.monitoring.web.health import health
from dicom_node.settings import Settings
from dicom_node.storage.disk import MEGABYTE, DiskWatch
from store.audit import audit_log
from store.db.database import Database
from store.rows import scheduled_jobs
from store.rows.scheduled_jobs import ScheduledJob

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
LATEST = 3 * HOUR + GRACE
WELL = ScheduledJob(
    role="worker",
    name="hourly",
    interval_s=3600,
    since=NOW - DAY,
    last_started_at=NOW - HOUR,
    last_finished_at=NOW - HOUR,
    last_success_at=NOW - HOUR,
    last_result="success",
    error="",
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return an upgraded database."""
    made = upgraded(f"sqlite:///{tmp_path}/echonode.db")
    yield made
    made.close()


def write(database: Database, *jobs: ScheduledJob) -> None:
    """Write rows as a worker does."""
    with database.transaction() as session:
        scheduled_jobs.record(session, "worker", jobs)


@pytest.mark.parametrize(
    ("changes", "is_overdue"),
    [
        ({}, False),
        ({"last_success_at": NOW - LATEST}, False),
        ({"last_success_at": NOW - LATEST - SECOND}, True),
        ({"last_success_at": None}, True),
        ({"last_success_at": None, "since": NOW - LATEST}, False),  # its process has just started
        ({"last_success_at": NOW + 8 * DAY, "since": NOW + 8 * DAY}, True),  # the clock was set back
        ({"last_success_at": NOW - HOUR, "since": NOW + 8 * DAY}, False),  # and it ran since
    ],
)
def test_overdue_after_three_intervals(changes: dict[str, datetime], is_overdue: bool) -> None:
    """What counts is the last success, however often the job failed since, and the start before the first."""
    job = replace(WELL, **changes)

    assert overdue([job], now=NOW) == ([job] if is_overdue else [])


@pytest.mark.parametrize(
    ("changes", "is_overdue"),
    [
        ({}, False),
        ({"last_started_at": NOW - LONGEST_RUN - SECOND}, True),
        ({"last_result": "failure"}, True),
        ({"last_finished_at": NOW}, True),
    ],
)
def test_a_long_run_is_not_overdue(changes: dict[str, datetime], is_overdue: bool) -> None:
    """A backlog that is delivered for half an hour is no trouble; a job that hangs or keeps failing is."""
    began = NOW - timedelta(minutes=30)
    running = replace(
        WELL,
        interval_s=1,
        last_started_at=began,
        last_finished_at=began - SECOND,
        last_success_at=began - SECOND,
    )

    assert bool(overdue([replace(running, **changes)], now=NOW)) is is_overdue


def test_health_names_the_jobs(database: Database) -> None:
    """Not before the processes had time to start; a database that is away is said to be."""
    node = runtime(database.path.parent, database=database, clock=lambda: NOW, steady_s=lambda: 1000.0)
    assert health(node)["schedule"] == "ok"
    late = replace(WELL, last_success_at=NOW - 2 * DAY, since=NOW - 3 * DAY)
    write(database, WELL, *(replace(late, name=name) for name in ("retention", "sealing")))

    assert health(node)["schedule"] == "overdue: retention, sealing"
    grace_s = GRACE.total_seconds()
    assert health(node, since_s=1000.0 - grace_s + 1)["schedule"] == "ok"
    assert health(node, since_s=1000.0 - grace_s)["schedule"] != "ok"
    database.path.rename(database.path.with_name("away"))
    assert health(node)["schedule"] == "not available"


def test_metrics_count_failures(database: Database) -> None:
    """Failures are a counter by role and name, beside the time of the last success."""
    write(database, replace(WELL, failures=3))
    write(database, replace(WELL, failures=4), replace(WELL, name="new", last_success_at=None))
    text = generate_latest(registry(runtime(database.path.parent, database=database))).decode()

    assert 'echonode_scheduled_job_failures_total{name="hourly",role="worker"} 7.0' in text
    assert 'echonode_scheduled_job_failures_total{name="new",role="worker"} 0.0' in text
    at = 'echonode_scheduled_job_last_success_timestamp_seconds{name="hourly",role="worker"} '
    (value,) = (line.removeprefix(at) for line in text.splitlines() if line.startswith(at))
    assert float(value) == (NOW - HOUR).timestamp()
    assert 'timestamp_seconds{name="new"' not in text


def test_the_command_lists_jobs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """For people a table, for programs JSON: interval, last run and result, next run, overdue or not."""
    config = database.path.with_name("echonode.toml")
    config.write_text(f'[node]\ndata_dir = "{config.parent}"\n')
    monkeypatch.setenv("COLUMNS", "200")
    empty = CliRunner().invoke(app, ["schedule", "--config", str(config)])
    assert (empty.exit_code, "no process has run" in empty.output) == (0, True)
    failed = {"last_result": "failure", "error": "the file is gone", "next_run_at": NOW}
    write(database, replace(WELL, **failed))  # type: ignore[arg-type]  # of each field its own type

    shown = CliRunner().invoke(app, ["schedule", "--config", str(config)]).output
    for words in (
        "hourly",
        "1:00:00",
        "2026-11-22 11:00:00",
        "failure, the file is gone, overdue",
        "12:00:00",
    ):
        assert words in shown
    (job,) = json.loads(CliRunner().invoke(app, ["schedule", "--config", str(config), "--json"]).output)[
        "jobs"
    ]
    assert job == {
        "role": "worker",
        "name": "hourly",
        "interval_s": 3600,
        "since": "2026-11-21T12:00:00.000000Z",
        "last_started_at": "2026-11-22T11:00:00.000000Z",
        "last_finished_at": "2026-11-22T11:00:00.000000Z",
        "last_success_at": "2026-11-22T11:00:00.000000Z",
        "last_result": "failure",
        "error": "the file is gone",
        "failures": 0,
        "next_run_at": "2026-11-22T12:00:00.000000Z",
        "overdue": True,
    }


def test_certificates_that_expire_are_on_record(tmp_path: Path, database: Database) -> None:
    """A month before, and after; one that is good for longer says nothing, a missing file is a failed run."""
    authority = Authority(tmp_path)
    identity = authority.issue("node", days=31)
    settings = Settings(
        node={"data_dir": tmp_path},  # type: ignore[arg-type]  # parsed by pydantic
        tls=authority.settings(identity),
    )
    for days in (0, 2, 40):
        at = datetime.now(UTC) + timedelta(days=days)
        node = runtime(settings=settings, database=database, clock=lambda at=at: at)
        assert warn_of_expiry(node) == (days > 0)
    with database.read() as session:
        events = audit_log.events(session, event="certificate.expires")
    assert [each.detail["key"] for each in events] == ["tls.certificate"] * 2
    identity.certificate.unlink()
    with pytest.raises(SettingsError):
        warn_of_expiry(node)


def test_a_disk_that_fills_is_noticed_without_an_association(tmp_path: Path, database: Database) -> None:
    """Looking counts nobody as rejected."""
    node, volume = runtime(tmp_path, database=database), Volume(tmp_path)
    watch = DiskWatch(volume, node.settings.disk, node.recorder)
    for free_mb in (10_000, 1000, 1000, 10_000):
        volume.free = free_mb * MEGABYTE
        assert watch.look() is (free_mb == 10_000)
    with database.read() as session:
        events = audit_log.events(session)
    assert [each.event for each in events] == ["disk.low", "disk.recovered"]
    assert events[1].detail["associations_rejected"] == 0
