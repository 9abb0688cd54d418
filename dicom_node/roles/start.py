"""What every role opens first."""

from threading import Event

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.process.clock import utc_now
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from dicom_node.storage.disk import MEGABYTE
from store.db.database import Database
from store.files.file_store import FileStore


def open_runtime(settings: Settings, stop: Event) -> Runtime:
    """Open the database and the file store that the settings name.

    Raises:
        StoreUnavailable: the data folder cannot be used.
    """
    database = Database(settings.store_url)
    return Runtime(
        settings=settings,
        database=database,
        files=FileStore(settings.node.data_dir, reserve_bytes=settings.disk.hard_free_mb * MEGABYTE),
        recorder=AuditRecorder(database, utc_now),
        clock=utc_now,
        stop=stop,
    )
