"""How the processes of the analysis begin: each loads what the worker names, or says why it cannot."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from dicom_node.errors import NodeError, place_of
from dicom_node.process import logs
from dicom_node.settings import Settings
from dicom_node.study.sandbox.channel import Channel
from dicom_node.study.sandbox.confinement import die_with_the_parent
from dicom_node.study.sandbox.messages import MAX_REQUEST_BYTES, Failure, Refusal, Start, decode, encode
from inference.errors import InferenceError

OOM_SCORE: Final = 500
"""Of 1000, see proc(5): when memory runs out, the kernel kills this process before a receiver."""


def begin(worker: Channel, prepare: Callable[[Any], None]) -> tuple[Any, Settings] | None:
    """Return what the first message names, loaded and prepared, with its settings.

    If it cannot be loaded, tell the worker why and return None.
    """
    _ignore_stop_signals()
    die_with_the_parent()
    _watch_stdin()
    logs.configure()
    start = decode(worker.receive(limit_bytes=MAX_REQUEST_BYTES), Start, Start)
    settings = Settings(**start.settings)
    module, _, function = start.analyzer.partition(":")
    try:
        loaded = getattr(import_module(module), function)(settings)
        prepare(loaded)
    except (InferenceError, NodeError) as error:
        worker.send(encode(Refusal(sentence=str(error))))
    except Exception as error:  # noqa: BLE001 - the worker raises it as AnalyzerError
        worker.send(encode(Failure(place=place_of(error))))
    else:
        return loaded, settings
    return None


def _ignore_stop_signals() -> None:
    """Leave stop signals, which the whole process group gets, to the worker."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _watch_stdin() -> None:
    """Elsewhere, end when standard input does, whose other end the worker holds."""
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    else:
        threading.Thread(target=_end_with_stdin, name="worker-watch", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)
