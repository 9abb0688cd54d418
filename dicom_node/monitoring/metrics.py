"""What a monitoring system reads (Prometheus): numbers from the rows and the disk, nobody's name or UID."""

from collections.abc import Callable, Iterator
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from dicom_node import __version__
from dicom_node.audit.syslog import attempts_in_vain, lag_s
from dicom_node.errors import SettingsError
from dicom_node.monitoring.certificates import expiries
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from dicom_node.storage.disk import MEGABYTE
from store.db.database import Database
from store.errors import StoreUnavailable
from store.files.file_store import FileStore
from store.rows import backlog, scheduled_jobs

log = structlog.get_logger()

Collect = Callable[[], Iterator[Metric]]


class Collector:
    """Asks a function anew at each scrape; one whose source is away gives nothing that time."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
        try:
            yield from self._collect()
        except (StoreUnavailable, SettingsError) as error:
            log.warning("metrics.incomplete", error=str(error))


def registry(runtime: Runtime) -> CollectorRegistry:
    """Return all metrics of the node; a further source is one more line here."""
    settings, database, clock = runtime.settings, runtime.database, runtime.clock
    made = CollectorRegistry()
    sources: list[Collect] = [
        about_the_build,
        lambda: about_the_rows(database, now=clock()),
        lambda: about_the_disk(settings, runtime.files),
        lambda: about_certificates(settings, now=clock()),
        lambda: about_timed_jobs(database),
    ]
    if settings.audit.syslog_host:
        sources.append(lambda: about_syslog(database, now=clock()))
    for collect in sources:
        made.register(Collector(collect))
    return made


def about_the_build() -> Iterator[Metric]:
    """Return the version."""
    yield InfoMetricFamily("echonode_build", "Version of this program.", {"version": __version__})


def about_the_rows(database: Database, *, now: datetime) -> Iterator[Metric]:
    """Return what waits and for how long, and how many rows are in each state.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    with database.read() as session:
        ages = backlog.ages(session, now=now)
        counts = backlog.counts(session)
        audit_rows = backlog.audit_rows(session)
    oldest = GaugeMetricFamily(
        "echonode_oldest_waiting_seconds", "Age of the oldest unfinished one; 0: none.", labels=["what"]
    )
    for what, age in ages.items():
        oldest.add_metric([what], age.total_seconds())
    rows = GaugeMetricFamily("echonode_rows", "Number of rows in each state.", labels=["what", "state"])
    # Those to raise an alarm for are there from the beginning.
    for (what, state), number in ({("job", "DEAD"): 0, ("delivery", "DEAD"): 0} | counts).items():
        rows.add_metric([what, state], number)
    yield oldest
    yield rows
    yield CounterMetricFamily("echonode_audit_rows", "Audit rows ever written.", audit_rows)


def about_the_disk(settings: Settings, files: FileStore) -> Iterator[Metric]:
    """Return the room in the data folder, and how much there should be.

    Raises:
        StoreUnavailable: the folder is gone.
    """
    free = files.free_bytes()
    yield GaugeMetricFamily("echonode_disk_free_bytes", "Free in the data folder.", free)
    thresholds = GaugeMetricFamily(
        "echonode_disk_threshold_bytes",
        "Below soft associations are rejected, below hard objects are refused.",
        labels=["threshold"],
    )
    thresholds.add_metric(["soft"], settings.disk.soft_free_mb * MEGABYTE)
    thresholds.add_metric(["hard"], settings.disk.hard_free_mb * MEGABYTE)
    yield thresholds


def about_certificates(settings: Settings, *, now: datetime) -> Iterator[Metric]:
    """Return how long our certificates are still good for; less than nothing when they have expired.

    Raises:
        SettingsError: a file is missing or holds no certificate.
    """
    left = GaugeMetricFamily(
        "echonode_certificate_expiry_seconds", "Until the certificate expires.", labels=["key"]
    )
    for each in expiries(settings.tls):
        left.add_metric([each.key], (each.at - now).total_seconds())
    yield left


def about_timed_jobs(database: Database) -> Iterator[Metric]:
    """Return how often timed jobs failed, and when they last did not.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    with database.read() as session:
        jobs = scheduled_jobs.all_jobs(session)
    labels = ["role", "name"]  # not "job": Prometheus has one of its own
    failures = CounterMetricFamily(
        "echonode_scheduled_job_failures", "Runs of a timed job that failed.", labels=labels
    )
    success = GaugeMetricFamily(
        "echonode_scheduled_job_last_success_timestamp_seconds", "When a run last succeeded.", labels=labels
    )
    for job in jobs:
        failures.add_metric([job.role, job.name], job.failures)
        if job.last_success_at is not None:
            success.add_metric([job.role, job.name], job.last_success_at.timestamp())
    yield failures
    yield success


def about_syslog(database: Database, *, now: datetime) -> Iterator[Metric]:
    """Return how far the syslog server is behind, and how often it was tried in vain.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    yield GaugeMetricFamily(
        "echonode_syslog_lag_seconds", "Age of the oldest audit row not sent.", lag_s(database, now=now)
    )
    yield GaugeMetricFamily(
        "echonode_syslog_attempts", "Attempts in vain since the last success.", attempts_in_vain(database)
    )
