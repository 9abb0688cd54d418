"""Locks on the data folder; the kernel releases them when their process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_node.errors import NodeError

WORKER_LOCK = "worker.lock"
LOCKS = Path("/proc/locks")


class InUse(NodeError):
    """A node runs on this data folder, or `echonode restore` is running."""


@contextmanager
def node_runs(data_dir: Path) -> Iterator[None]:
    """Hold a shared lock on the data folder for the block.

    Raises:
        InUse: `echonode restore` has it locked.
        NodeError: the folder cannot be created or opened.
    """
    with _held(data_dir, fcntl.LOCK_SH):
        yield


@contextmanager
def node_stands_still(data_dir: Path) -> Iterator[None]:
    """Hold an exclusive lock on the data folder for the block.

    Raises:
        InUse: a process of the node runs.
        NodeError: the folder cannot be created or opened.
    """
    with _held(data_dir, fcntl.LOCK_EX):
        yield


def is_locked(path: Path) -> bool:
    """Tell whether some process holds a lock on a file, without taking it (proc(5), /proc/locks)."""
    try:
        inode = str(path.stat().st_ino)
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF
    return any(fields[1] == "FLOCK" and fields[5].split(":")[2] == inode for fields in map(str.split, lines))


@contextmanager
def _held(data_dir: Path, how: int) -> Iterator[None]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data_dir, os.O_RDONLY | os.O_CLOEXEC)  # of the folder itself
    except OSError as error:
        raise NodeError(f"{error.filename or data_dir}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse from None
        yield
    finally:
        os.close(descriptor)
