"""What happens by the clock: studies become complete, deliveries become due.

Each sweep looks at rows, acts and returns; nothing is remembered between two sweeps, so a missed
one costs a second and a crashed one nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from threading import Event, Thread
from types import MappingProxyType
from typing import NamedTuple

import structlog

from dicom_node.commitment.scu import ask_due, report_due
from dicom_node.delivery.outbox import deliver_due, park_homeless
from dicom_node.roles.clock_watch import ClockWatch
from dicom_node.runtime import Runtime
from dicom_node.settings.sections import StudySettings
from dicom_node.storage.retention import INTERVAL_S as RETENTION_INTERVAL_S
from dicom_node.storage.retention import apply_retention
from dicom_node.study.completion import is_complete
from store.db.database import Database
from store.errors import StoreUnavailable
from store.rows import studies

log = structlog.get_logger()

INTERVAL_S = 1.0


class Sweep(NamedTuple):
    """What is done again and again, and the pause in between."""

    run: Callable[[], int]
    pause_s: float


def complete_studies(database: Database, policy: StudySettings, *, now: datetime) -> int:
    """Queue a job for every study that is complete at `now`; return how many."""
    with database.read() as session:
        if not any(is_complete(study, now=now, policy=policy) for study in studies.receiving(session)):
            return 0
    with database.transaction() as session:
        # Asked again: an image may have come since, and inside a write transaction none can.
        complete = [
            study for study in studies.receiving(session) if is_complete(study, now=now, policy=policy)
        ]
        for study in complete:
            studies.mark_ready(session, study.study_uid, now=now)
    return len(complete)


class Sweeper:
    """Runs each sweep in a thread of its own, so that one that hangs delays only itself.

    Pauses are counted by a clock that nobody can set: a scheduler by the time of day would stand
    still for an hour when the clock goes back by one.
    """

    def __init__(self, sweeps: Mapping[str, Sweep]) -> None:
        self._stop = Event()
        self._threads = [
            Thread(target=self._repeat, args=(name, *sweep), name=name, daemon=True)
            for name, sweep in sweeps.items()
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def shutdown(self) -> None:
        """Let every sweep that runs come to its end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, name: str, sweep: Callable[[], int], pause_s: float) -> None:
        while not self._stop.wait(pause_s):
            try:
                sweep()
            except StoreUnavailable as error:
                log.warning("sweep.failed", sweep=name, error=str(error))
            except Exception:
                log.exception("sweep.broken", sweep=name)


def scheduler(runtime: Runtime, more: Mapping[str, Callable[[], int]] = MappingProxyType({})) -> Sweeper:
    """Return all sweeps, not started; `more` are sweeps that are made elsewhere, by name."""
    settings, database = runtime.settings, runtime.database
    watch = ClockWatch(runtime)
    sweeps: dict[str, Callable[[], int]] = {
        "complete studies": lambda: complete_studies(database, settings.study, now=runtime.clock()),
        "park homeless deliveries": partial(park_homeless, runtime),
        "report storage commitment": partial(report_due, runtime),
        "watch the clock": watch.look,
        **more,
    }
    for destination in settings.destinations:
        sweeps[f"deliver to {destination.name}"] = partial(deliver_due, runtime, destination)
        sweeps[f"ask {destination.name} for storage commitment"] = partial(ask_due, runtime, destination)
    timed = {name: Sweep(sweep, INTERVAL_S) for name, sweep in sweeps.items()}
    return Sweeper({**timed, "retention": Sweep(partial(apply_retention, runtime), RETENTION_INTERVAL_S)})
