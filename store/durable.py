"""What it takes to be on the disk: a file is synced, and so is the folder that names it."""

import os
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
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync(path.parent)
