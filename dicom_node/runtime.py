"""What every part of a running node works with, made once by `roles` and handed down."""

from dataclasses import dataclass
from threading import Event

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.process.clock import Clock, SteadyClock, steady_s
from dicom_node.settings import Settings
from store.db.database import Database
from store.files.file_store import FileStore


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The settings of one process of the node and the resources that it shares with the others."""

    settings: Settings
    database: Database
    files: FileStore
    recorder: AuditRecorder
    clock: Clock
    """The time of day."""
    stop: Event
    """Set once the process is asked to stop; work that takes long looks at it."""
    steady_s: SteadyClock = steady_s
    """Seconds for measuring durations."""
