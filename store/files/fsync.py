"""Writing files that survive a crash: a file is synced to disk, and so is the folder that names it."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(data: bytes, path: Path, *, mode: int) -> None:
    """Create a file atomically and sync it; an existing file, or one created meanwhile, is left as it is.

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
