"""What happens by the clock: studies become complete, deliveries become due.

Each sweep looks at rows, acts and returns; nothing is remembered between two sweeps, so a missed
one costs a second and a crashed one nothing.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from dicom_node.completion import is_complete
from dicom_node.delivery import Outbox, deliver_due, park_homeless
from dicom_node.settings import Study as Policy
from store import studies
from store.database import Database
from store.errors import StoreUnavailable

log = structlog.get_logger()

INTERVAL_S = 1.0


def complete_studies(database: Database, policy: Policy, *, now: datetime) -> int:
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


def scheduler(
    outbox: Outbox, more: Mapping[str, Callable[[], int]] = MappingProxyType({})
) -> BackgroundScheduler:
    """Return a scheduler of all sweeps, not started; a destination that hangs delays only itself.

    `more` are sweeps that are made elsewhere, by name.
    """
    policy, destinations = outbox.settings.study, outbox.settings.destinations
    sweeps: dict[str, Callable[[], int]] = {
        "complete studies": lambda: complete_studies(outbox.database, policy, now=outbox.clock()),
        "park homeless deliveries": partial(park_homeless, outbox),
        **more,
    }
    for destination in destinations:
        sweeps[f"deliver to {destination.name}"] = partial(deliver_due, outbox, destination)
    # The default grace of one second would skip late sweeps altogether.
    defaults = {"misfire_grace_time": None, "max_instances": 1, "coalesce": True}
    # A delivery that takes longer than the interval is no news.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    made = BackgroundScheduler(
        timezone=UTC, executors={"default": ThreadPoolExecutor(len(sweeps))}, job_defaults=defaults
    )
    for name, sweep in sweeps.items():
        made.add_job(_patient(sweep, name), "interval", seconds=INTERVAL_S, id=name)
    return made


def _patient(sweep: Callable[[], int], name: str) -> Callable[[], None]:
    """Let a sweep fail while disk or database are away; the next one tries again."""

    def run() -> None:
        try:
            sweep()
        except StoreUnavailable as error:
            log.warning("sweep.failed", sweep=name, error=str(error))

    return run
