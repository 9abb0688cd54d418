"""The programs of the analysis: a template that loads what is needed and reads no file, and its forks.

Started by `template.Template`: python -m …sandbox.child FD. A fork costs milliseconds and serves one study:
what a hostile image makes of it ends with it.
"""

import gc
import io
import logging
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from dicom_node.errors import NodeError, place_of
from dicom_node.process import logs
from dicom_node.process.clock import steady_s
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import Loaded
from dicom_node.study.sandbox.answering import serve
from dicom_node.study.sandbox.channel import Channel
from dicom_node.study.sandbox.confinement import close_inherited, confine, die_with_the_parent
from dicom_node.study.sandbox.messages import (
    MAX_REQUEST_BYTES,
    End,
    Ended,
    Failure,
    Fork,
    Forked,
    Order,
    Ready,
    Refusal,
    Reply,
    Start,
    decode,
    encode,
)
from dicom_node.study.sandbox.preload import preload
from inference.errors import InferenceError

OOM_SCORE: Final = 500
"""Of 1000, see proc(5): when memory runs out, the kernel kills this process before a receiver."""
LOOK_S: Final = 0.005


def main(worker: Channel) -> None:
    """Load the analyzer, then start and end analysis processes until the worker closes the connection."""
    ignore_stop_signals()
    die_with_the_parent()
    watch_stdin()
    logs.configure()
    start = decode(worker.receive(limit_bytes=MAX_REQUEST_BYTES), Start, Start)
    settings = Settings(**start.settings)
    analyzer = load(start.analyzer, settings, worker)
    if analyzer is None:
        return
    gc.freeze()  # collecting would copy what the forks share
    worker.send(encode(Ready(model=analyzer.model)))
    while True:
        obey(worker, analyzer, settings)


def load(name: str, settings: Settings, worker: Channel) -> Loaded | None:
    """Return the analyzer; if it cannot be loaded, tell the worker why and return None."""
    module, _, function = name.partition(":")
    try:
        analyzer: Loaded = getattr(import_module(module), function)(settings)
        preload()
    except (InferenceError, NodeError) as error:
        worker.send(encode(Refusal(sentence=str(error))))
    except Exception as error:  # noqa: BLE001 - the worker raises it as AnalyzerError
        worker.send(encode(Failure(place=place_of(error))))
    else:
        return analyzer
    return None


def obey(worker: Channel, analyzer: Loaded, settings: Settings) -> None:
    """Carry out one order of the worker."""
    data, descriptors = worker.receive_with_file(limit_bytes=MAX_REQUEST_BYTES)
    order: Any = decode(data, Order, object)
    match order:
        case Fork():
            (descriptor,) = descriptors
            pid = os.fork()
            if pid == 0:
                _analysis(descriptor, analyzer, settings)
            os.close(descriptor)
            worker.send(encode(Forked(pid=pid)))
        case End(pid=pid, grace_s=grace_s):
            worker.send(encode(end(pid, grace_s)))


def end(pid: int, grace_s: float) -> Ended:
    """Wait for the end of a fork, then kill it."""
    until_s = steady_s() + grace_s
    while True:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return Ended(exit_code=os.waitstatus_to_exitcode(status), killed=False)
        if steady_s() >= until_s:
            break
        time.sleep(LOOK_S)
    os.kill(pid, signal.SIGKILL)
    return Ended(exit_code=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), killed=True)


def _analysis(descriptor: int, analyzer: Loaded, settings: Settings) -> None:
    """Be an analysis process; never return."""
    code, worker = 1, Channel(socket.socket(fileno=descriptor))
    try:
        said = io.StringIO()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(said)
        close_inherited(descriptor)
        job = settings.job
        held = confine(memory_bytes=job.image_memory_mb << 20, image_timeout_s=job.image_timeout_s)
        serve(worker, analyzer, held, said)
    except (EOFError, ConnectionError):  # the worker has closed the connection
        code = 0
    except Exception as error:  # noqa: BLE001 - the worker says that no process can be started
        worker.send(encode(Reply(id=0, answer=Failure(place=place_of(error)))))
    finally:
        os._exit(code)


def ignore_stop_signals() -> None:
    """Leave stop signals, which the whole process group gets, to the worker."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def watch_stdin() -> None:
    """Elsewhere, end when standard input does, whose other end the worker holds."""
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    else:
        threading.Thread(target=_end_with_stdin, name="worker-watch", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    try:
        main(Channel(socket.socket(fileno=int(sys.argv[1]))))
    except (EOFError, OSError):  # the worker has ended
        os._exit(1)
