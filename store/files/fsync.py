"""What it takes to be on the disk: a file is synced, and so is the folder that names it."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(data: bytes, path: Path, *, mode: int) -> None:
    """Make a new file that is there as a whole or not at all; of two that do so at once the first wins.

    Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    sync(path.parent)
