"""Tracebacks for the log: types and places, no messages.

A message may quote what the code stumbled over, a patient's name among it.
"""

import traceback
from types import TracebackType
from typing import Any, TextIO

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def without_messages(error: BaseException) -> str:
    """Return the traceback of an exception and of those that led to it, oldest first."""
    parts = [] if (before := _before(error)) is None else [without_messages(before), ""]
    places = "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return "\n".join([*parts, "Traceback (most recent call last):", places, kind])


def render(stream: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback as `structlog.dev.ConsoleRenderer` wants it."""
    if exc_info[1] is not None:
        stream.write("\n" + without_messages(exc_info[1]))


def drop_messages(_: Any, __: str, event: Any) -> Any:
    """Processor: a log line whose text is an exception (as some libraries do) tells its type only."""
    record = event.get("_record")
    if record is not None and isinstance(record.msg, BaseException):
        event["event"] = type(record.msg).__qualname__
    return event


def _before(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
