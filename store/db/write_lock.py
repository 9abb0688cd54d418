"""Who holds the write lock of a database: found out before a thread waits for itself.

SQLite has one writer at a time. A transaction inside a transaction of the same thread would wait for the
outer one until the timeout, and whatever is slow inside of one holds up every other writer of the node. The
first is a bug that `holding` finds at once; for the second, tests ask `is_held` in each system call that may
be slow (tests/support/write_lock_watch.py).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NestedTransaction(RuntimeError):
    """A write transaction was begun inside another one of the same thread and database."""


class _Held(threading.local):
    """The databases whose write lock the present thread holds, or waits for."""

    def __init__(self) -> None:
        self.paths: set[Path] = set()


_held = _Held()


def is_held() -> bool:
    """Tell whether the present thread is inside a write transaction."""
    return bool(_held.paths)


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Mark the block as a write transaction of the database at a path.

    Raises:
        NestedTransaction: it is inside another one.
    """
    if path in _held.paths:
        raise NestedTransaction(f"a write transaction inside another one: {path.name}")
    _held.paths.add(path)
    try:
        yield
    finally:
        _held.paths.discard(path)
