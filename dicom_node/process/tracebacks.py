"""Tracebacks for the log with types and places only: messages of exceptions may quote patient data."""

import traceback
from types import TracebackType
from typing import Any, TextIO

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def without_messages(error: BaseException) -> str:
    """Return the traceback of an exception and of its causes, oldest first."""
    parts = [] if (cause := _cause(error)) is None else [without_messages(cause), ""]
    places = "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return "\n".join([*parts, "Traceback (most recent call last):", places, kind])


def render(stream: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback; an `exception_formatter` of `structlog.dev.ConsoleRenderer`."""
    if exc_info[1] is not None:
        stream.write("\n" + without_messages(exc_info[1]))


def drop_messages(_: Any, __: str, event: Any) -> Any:
    """Structlog processor: log only the type of an exception that a library passes as the message."""
    record = event.get("_record")
    if record is not None and isinstance(record.msg, BaseException):
        event["event"] = type(record.msg).__qualname__
    return event


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__
