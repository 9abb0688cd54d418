"""The program of the analysis process, started by `AnalysisProcess`: python -m …sandbox.child FD."""

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
"""Of 1000, see proc(5): when memory runs out, the kernel kills this process before a receiver."""


def main(worker: Connection) -> None:
    """Load the analyzer, then answer requests until the worker closes the connection (EOFError)."""
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
    """Return the analyzer; if it cannot be loaded, tell the worker why and return None."""
    try:
        return start.load_analyzer(start.settings)
    except (InferenceError, NodeError) as error:
        worker.send(Refusal(sentence=str(error)))
    except Exception as error:  # noqa: BLE001 - the worker raises it as AnalyzerError
        worker.send(Failure(place=place_of(error)))
    return None


def answer(analyzer: ImageAnalyzer, request: Request) -> Reply:
    """Carry out a request; exceptions become replies without text from the image."""
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
    """Tell whether memory ran out; torch raises a RuntimeError with "can't allocate memory"."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocat" in str(error))


def die_with_the_worker() -> None:
    """Ignore stop signals, and end when the worker ends, whatever ends it.

    On Linux the kernel then kills this process, even inside a decoder. On other systems a thread notices
    the end of standard input, whose other end the worker holds.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the whole process group gets them; the worker kills this one
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would contain the image
    threading.Thread(target=_end_with_stdin, name="worker-watch", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def limit_memory(more_bytes: int) -> None:
    """Limit the address space to `more_bytes` beyond the present size, networks included (Linux)."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    try:
        main(Connection(int(sys.argv[1])))
    except (EOFError, OSError):  # the worker has ended
        os._exit(1)
