"""The resources of a node for tests that need no process: `runtimes.runtime(folder)`."""

from pathlib import Path
from threading import Event
from typing import Any

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.process.clock import Clock, utc_now
from dicom_node.runtime import Runtime
from dicom_node.settings import NodeSettings, Settings
from store.db.database import Database
from store.files.file_store import FileStore


def runtime(
    folder: Path | None = None,
    *,
    settings: Settings | None = None,
    database: Database | None = None,
    files: FileStore | None = None,
    clock: Clock = utc_now,
    **more: Any,
) -> Runtime:
    """Return a runtime on a data folder, with everything that is not given as a node would make it."""
    if settings is None:
        assert folder is not None
        settings = Settings(node=NodeSettings(data_dir=folder))
    database = database or Database(settings.store_url)
    return Runtime(
        settings=settings,
        database=database,
        files=files or FileStore(folder or settings.node.data_dir),
        recorder=AuditRecorder(database, clock),
        clock=clock,
        stop=more.pop("stop", None) or Event(),
        **more,
    )
