"""Settings and resources of one process of the node."""

from dataclasses import dataclass
from threading import Event

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.process.clock import Clock, SteadyClock, steady_s
from dicom_node.settings import Settings
from store.db.database import Database
from store.files.file_store import FileStore


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Built once by `roles` and passed to everything that runs in the process."""

    settings: Settings
    database: Database
    files: FileStore
    recorder: AuditRecorder
    clock: Clock
    """The time of day."""
    stop: Event
    """Set when the process is asked to stop; long work checks it between two steps."""
    steady_s: SteadyClock = steady_s
    """Monotonic clock in seconds, for durations."""
