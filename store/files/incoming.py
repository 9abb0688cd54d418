"""The folder incoming/: data sets being received, and links that tell after a crash what is not recorded."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from store.files import layout
from store.files.placing import KeptFile, disk_errors


class Incoming:
    """The part of a `FileStore` that has to do with this folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.incoming = root / "incoming"
        """Folder for data sets that are being received."""

    def clear_incoming(self, *, now: datetime, untouched_s: float = 0.0) -> int:
        """Delete incomplete files that a killed receiver left in incoming/; return how many.

        Args:
            now: the time of day.
            untouched_s: keep files modified within so many seconds: another receiver may be writing them.
        """
        newest = now.timestamp() - untouched_s
        with disk_errors():
            found = self._stats_of_incoming()
            orphans = [path for path, stat in found if stat.st_nlink == 1 and stat.st_mtime <= newest]
            for path in orphans:
                path.unlink(missing_ok=True)
        return len(orphans)

    def linked_leftovers(self) -> list[Path]:
        """Return the files in incoming/ that `keep_instance` has linked: their rows may be missing."""
        with disk_errors():
            return [path for path, stat in self._stats_of_incoming() if stat.st_nlink > 1]

    def leave_for_next_start(self, kept: KeptFile) -> None:
        """Make a kept file one of `linked_leftovers`: its row could not be written."""
        with suppress(OSError):  # one link for all attempts; without it, the sender has no success either
            os.link(self._root / kept.path, self._left(kept))

    def discard(self, received: Path, kept: KeptFile | None = None) -> None:
        """Remove a file of incoming/, and what `leave_for_next_start` made: the row is written.

        Raises:
            StoreUnavailable: the disk is read-only or failing.
        """
        with disk_errors():
            received.unlink(missing_ok=True)
            if kept is not None:
                self._left(kept).unlink(missing_ok=True)

    def _left(self, kept: KeptFile) -> Path:
        return self.incoming / f"{kept.sha256}.part"

    def _stats_of_incoming(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in layout.entries(self.incoming):
            with suppress(FileNotFoundError):  # another receiver has just finished it
                yield path, path.stat()
