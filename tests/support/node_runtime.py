"""The settings and resources of a node under test, and the clock that the test moves."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.process.clock import Clock, utc_now
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination, NodeSettings, PeerSettings
from store.db.database import Database
from store.files.file_store import FileStore

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class AdjustableClock:
    """Stands still at `now` until the test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time of day, as a `Clock`."""
        return self.now


class RunningClock:
    """Goes on by itself, so much away from the real time of day."""

    def __init__(self, offset: timedelta) -> None:
        self.offset = offset

    def __call__(self) -> datetime:
        """Return the time of day, as a `Clock`."""
        return datetime.now(UTC) + self.offset


class Volume(FileStore):
    """A data folder whose disk has as much room as the test says."""

    free = 2**40

    def free_bytes(self) -> int:
        """Return what the test says."""
        return self.free


def settings_for(
    data_dir: Path,
    *,
    peers: Sequence[PeerSettings | Mapping[str, str]] = (),
    destinations: Sequence[Destination] = (),
    disk: Mapping[str, int] | None = None,
    sections: Mapping[str, Mapping[str, Any]] | None = None,
    **node: Any,
) -> Settings:
    """Return settings of a node on a free port of this machine that drains quickly."""
    defaults = {"data_dir": data_dir, "host": "127.0.0.1", "port": 0, "drain_seconds": 0.3}
    return Settings(
        node=defaults | node,  # type: ignore[arg-type]  # parsed by pydantic
        peers=list(peers),  # type: ignore[arg-type]  # as above
        destinations=tuple(destinations),
        disk=disk or {},  # type: ignore[arg-type]  # as above
        **(sections or {}),  # type: ignore[arg-type]  # as above
    )


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
