"""Logging with structlog over the standard library, as JSON lines or for a console, without patient data."""

import logging
import sys
import warnings
from typing import TextIO

import pydicom.config
import pynetdicom._config
import structlog

from dicom_node.process.tracebacks import ExcInfo, drop_messages, render, without_messages

MAX_TEXT = 64


def configure(*, json: bool | None = None, level: str = "INFO") -> None:
    """Send every log line of this process to standard error.

    Args:
        json: one JSON object per line; None: if standard error is not a terminal.
        level: the lowest level that is shown.
    """
    quiet_libraries()
    warnings.showwarning = _log_warning
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = structlog.dev.ConsoleRenderer(exception_formatter=render)
    final: structlog.typing.Processor = structlog.processors.JSONRenderer() if as_json else console
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                drop_messages,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([structlog.processors.ExceptionRenderer(_as_text)] if as_json else []),
                final,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _as_text(exc_info: ExcInfo) -> str:
    return "" if exc_info[1] is None else without_messages(exc_info[1])


def _log_warning(  # noqa: PLR0917 - the signature of warnings.showwarning
    message: Warning | str,  # noqa: ARG001 - may quote patient data
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - as the signature
    line: str | None = None,  # noqa: ARG001 - as the signature
) -> None:
    """Log category and place of a warning without its message."""
    place = f"{filename}:{lineno}"
    structlog.get_logger(__name__).warning("python.warning", category=category.__name__, at=place)


def quiet_libraries() -> None:
    """Keep patient data out of what pynetdicom and pydicom print, in this process."""
    pynetdicom._config.LOG_HANDLER_LEVEL = "none"  # noqa: SLF001 - documented settings in a module so named
    pynetdicom._config.LOG_REQUEST_IDENTIFIERS = False  # noqa: SLF001 - as above
    pynetdicom._config.LOG_RESPONSE_IDENTIFIERS = False  # noqa: SLF001 - as above
    for name in ("pynetdicom", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A run that is skipped because the last one goes on is no news; failures are logged by `roles.timed_job`.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # These log tracebacks that quote what a peer sent; receive.upper_layer and network.scu log one line.
    for name in (
        "dimse_messages",
        "pdu",
        "pdu_items",
        "pdu_primitives",
        "presentation",
        "transport",
        "utils",
    ):
        logging.getLogger(f"pynetdicom.{name}").setLevel(logging.CRITICAL)
    # pydicom's messages quote invalid values, such as a birth date; its errors are also raised.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def printable(text: object, limit: int = MAX_TEXT) -> str:
    """Return text of a peer as printable ASCII of at most `limit` characters, for logs and audit rows."""
    start = str(text)[: limit + 1]
    clean = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in start)
    return clean if len(clean) <= limit else f"{clean[: limit - 3]}..."
