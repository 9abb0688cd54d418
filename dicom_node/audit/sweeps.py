"""What happens to the audit trail by the clock: checkpoints, sealing, the way to a syslog server."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from dicom_node.audit.checkpoints import Checkpointer
from dicom_node.audit.query import segments_folder
from dicom_node.audit.syslog import NAME, SyslogExporter
from dicom_node.settings import Settings
from store.audit import audit_log, export_cursor
from store.audit.sealing import UnsoundRows, seal
from store.db.database import Database

log = structlog.get_logger(__name__)

SEAL_EVERY = timedelta(minutes=10)
SEGMENT_SPAN = timedelta(days=1)
"""So that there is a file per day at most, not one per sweep, unless a file is full."""
EXPORT_EVERY = timedelta(seconds=5)


def audit_sweeps(
    settings: Settings, database: Database, clock: Callable[[], datetime], checkpointer: Checkpointer
) -> Mapping[str, Callable[[], int]]:
    """Return the sweeps by name."""
    exporter = SyslogExporter(settings=settings, database=database)
    return {
        "sign audit checkpoints": lambda: checkpointer.sweep(clock()),
        "seal old audit rows": every(SEAL_EVERY, lambda now: seal_old(settings, database, now=now), clock),
        "send audit messages": every(EXPORT_EVERY, exporter.sweep, clock),
    }


def seal_old(settings: Settings, database: Database, *, now: datetime) -> int:
    """Seal rows that are older than they must be kept in the database, a day or more at a time."""
    if settings.audit.keep_days <= 0:
        return 0
    folder, before, total = segments_folder(settings), now - timedelta(days=settings.audit.keep_days), 0
    try:
        while _is_older(database, before - SEGMENT_SPAN):
            sent = _exported_id(settings, database)
            sealed = seal(database, folder, before=before, now=now, exported_id=sent)
            total += sealed
            if not sealed:
                break
    except UnsoundRows as error:
        log.error("audit.not_sealed", error=str(error))  # noqa: TRY400 - expected, and said in one line
    return total


def _is_older(database: Database, than: datetime) -> bool:
    with database.read() as session:
        oldest = audit_log.after(session, 0, limit=1)
    return bool(oldest) and oldest[0].at < than


def _exported_id(settings: Settings, database: Database) -> int | None:
    if not settings.audit.syslog_host:
        return None
    with database.read() as session:
        return export_cursor.exported_id(session, NAME)


def every(
    interval: timedelta, sweep: Callable[[datetime], int], clock: Callable[[], datetime]
) -> Callable[[], int]:
    """Let a sweep that is called more often run once per interval."""
    last: datetime | None = None

    def run() -> int:
        nonlocal last
        now = clock()
        # abs: a clock that was set back must not put it off.
        if last is not None and abs(now - last) < interval:
            return 0
        last = now
        return sweep(now)

    return run
