"""Old audit rows leave the database for files, sealed so that nobody can change them unnoticed."""

from datetime import datetime, timedelta

import structlog

from dicom_node.audit.query import segments_folder
from dicom_node.audit.syslog import NAME
from dicom_node.settings import Settings
from store.audit import audit_log, export_cursor
from store.audit.sealing import UnsoundRows, index_next, seal
from store.audit.segments import SegmentUnreadable
from store.db.database import Database

log = structlog.get_logger(__name__)

SEGMENT_SPAN = timedelta(days=1)
"""So that there is a file per day at most, not one per run, unless a file is full."""


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


def index_segments(settings: Settings, database: Database) -> int:
    """Record which studies are in a segment that an earlier version sealed; return 1, 0 without one."""
    try:
        return int(index_next(database, segments_folder(settings)))
    except SegmentUnreadable as error:
        log.error("audit.segment_unreadable", error=str(error))  # noqa: TRY400 - expected, and said in one line
        return 0


def _is_older(database: Database, than: datetime) -> bool:
    with database.read() as session:
        oldest = audit_log.after(session, 0, limit=1)
    return bool(oldest) and oldest[0].at < than


def _exported_id(settings: Settings, database: Database) -> int | None:
    if not settings.audit.syslog_host:
        return None
    with database.read() as session:
        return export_cursor.exported_id(session, NAME)
