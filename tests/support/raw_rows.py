"""Rows in any state, written past the triggers that demand a legal transition to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_triggers(execute: Callable[[str], Any]) -> Iterator[None]:
    """Take the triggers of an SQLite database away for the block; `execute` runs one statement."""
    triggers = list(execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    for name, _ in triggers:
        execute(f"DROP TRIGGER {name}")
    yield
    for _, sql in triggers:
        execute(sql)
