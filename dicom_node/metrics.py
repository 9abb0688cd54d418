"""What a monitoring system reads (Prometheus): numbers from the rows and the disk, nobody's name or UID."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import structlog
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from dicom_node import __version__
from dicom_node.disk import MEGABYTE
from dicom_node.settings import Settings
from store import waiting
from store.database import Database
from store.errors import StoreUnavailable
from store.files import FileStore

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
        except StoreUnavailable as error:
            log.warning("metrics.incomplete", error=str(error))


def registry(settings: Settings, database: Database, files: FileStore) -> CollectorRegistry:
    """Return all metrics of the node; a further source is one more line here."""
    made = CollectorRegistry()
    for collect in (
        about_the_build,
        lambda: about_the_rows(database, now=datetime.now(UTC)),
        lambda: about_the_disk(settings, files),
    ):
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
        ages = waiting.ages(session, now=now)
        counts = waiting.counts(session)
        audit_rows = waiting.audit_rows(session)
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
