"""The analysis process itself: `python -m dicom_node.study.sandbox.child FD`, started by `Process` alone."""

import ctypes
import os
import resource
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from dicom_node.errors import NodeError, place_of
from dicom_node.process import logs
from dicom_node.study.image_analyzer import ImageAnalyzer
from dicom_node.study.sandbox.messages import (
    BuildReport,
    Examine,
    Examined,
    Failure,
    OutOfMemory,
    Ready,
    Refusal,
    Reply,
    ReportBuilt,
    Request,
    Start,
)
from inference.errors import InferenceError

PR_SET_PDEATHSIG: Final = 1  # <sys/prctl.h>
OOM_SCORE: Final = 500
"""Out of 1000: if the machine runs out of memory, the kernel takes this process before a receiver."""


def main(worker: Connection) -> None:
    """Load the analyzer, then answer the worker until it is gone."""
    die_with_the_worker()
    logs.configure()
    start: Start = worker.recv()
    analyzer = load(start, worker)
    if analyzer is None:
        return
    limit_memory(start.settings.job.image_memory_mb << 20)
    worker.send(Ready(model=analyzer.model))
    while True:
        worker.send(answer(analyzer, worker.recv()))


def load(start: Start, worker: Connection) -> ImageAnalyzer | None:
    """Return the analyzer; None after telling the worker why there is none."""
    try:
        return start.load_analyzer(start.settings)
    except (InferenceError, NodeError) as error:
        worker.send(Refusal(sentence=str(error)))
    except Exception as error:  # noqa: BLE001 - the worker decides what becomes of it
        worker.send(Failure(place=place_of(error)))
    return None


def answer(analyzer: ImageAnalyzer, request: Request) -> Reply:
    """Do what is asked; whatever it raises becomes a message without any text of the image."""
    try:
        match request:
            case Examine(image=image, path=path):
                return Examined(result=analyzer.examine(image, path))
            case BuildReport(path=path, strips=strips, context=context):
                return ReportBuilt(objects=analyzer.report(path, strips, context))
    except NodeError as error:
        return Refusal(sentence=str(error))
    except Exception as error:  # noqa: BLE001 - as above
        return OutOfMemory() if is_shortage(error) else Failure(place=place_of(error))


def is_shortage(error: Exception) -> bool:
    """Tell whether memory ran out; torch says so in a RuntimeError ("can't allocate memory")."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocat" in str(error))


def die_with_the_worker() -> None:
    """Drain with the worker, not before it; end with it, however it ends.

    The kernel's signal reaches this process even deep in a decoder; the end of standard input, which
    the worker holds open, is noticed on every system.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group: the worker says what to do
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the image
    threading.Thread(target=_end_with_stdin, name="worker-watch", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def limit_memory(more_bytes: int) -> None:
    """Let this process have so much address space beyond what it has now, networks included."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    try:
        main(Connection(int(sys.argv[1])))
    except (EOFError, OSError):  # the worker has gone
        os._exit(1)
