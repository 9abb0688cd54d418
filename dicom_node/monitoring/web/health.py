"""Is the node able to do its work right now?"""

import re
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import text

from dicom_node.monitoring.schedule import GRACE, overdue
from dicom_node.process.locks import WORKER_LOCK, is_locked
from dicom_node.runtime import Runtime
from dicom_node.storage.disk import is_low
from store.db.database import Database
from store.errors import StoreUnavailable
from store.rows import scheduled_jobs

OK = "ok"
TCP_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTENING = re.compile(r"^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F:]+ 0A ", re.MULTILINE)


def health(runtime: Runtime, *, since_s: float | None = None) -> Mapping[str, str]:
    """Return "ok", or what is wrong in a few words, for each thing that must work.

    Args:
        runtime: of the process that is asked.
        since_s: when it began, on the steady clock; the others begin at the same time and may still be
            busy with that. None: long ago.
    """
    starts = since_s is not None and runtime.steady_s() - since_s < GRACE.total_seconds()
    node = runtime.settings.node
    return {
        "database": _database(runtime.database),
        "disk": _disk(runtime),
        "worker": OK if is_locked(node.data_dir / WORKER_LOCK) else "not running",
        "receiver": OK if _listens(node.port) else "not listening",
        "schedule": OK if starts else _schedule(runtime),
    }


def _database(database: Database) -> str:
    try:
        with database.read() as session:
            session.execute(text("SELECT version_num FROM alembic_version"))
    except StoreUnavailable:
        return "not available"
    return OK


def _disk(runtime: Runtime) -> str:
    try:
        free_bytes = runtime.files.free_bytes()
    except StoreUnavailable:
        return "not available"
    return "low" if is_low(free_bytes, was_low=False, policy=runtime.settings.disk) else OK


def _schedule(runtime: Runtime) -> str:
    try:
        with runtime.database.read() as session:
            late = overdue(scheduled_jobs.all_jobs(session), now=runtime.clock())
    except StoreUnavailable:
        return "not available"
    return f"overdue: {', '.join(job.name for job in late)}" if late else OK


def _listens(port: int) -> bool:
    """Look into the kernel's table: a connection would be noise in the receiver's log. Port 0: True."""
    if port == 0:
        return True
    tables = [path.read_text(encoding="ascii") for path in TCP_TABLES if path.exists()]
    return any(int(found, 16) == port for table in tables for found in LISTENING.findall(table))
