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
import time
from typing import Any, Final

from dicom_node.errors import place_of
from dicom_node.process.clock import steady_s
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import Loaded
from dicom_node.study.sandbox.answering import serve
from dicom_node.study.sandbox.channel import Channel
from dicom_node.study.sandbox.confinement import close_inherited, confine
from dicom_node.study.sandbox.loading import begin
from dicom_node.study.sandbox.messages import (
    MAX_REQUEST_BYTES,
    End,
    Ended,
    Failure,
    Fork,
    Forked,
    Order,
    Ready,
    Reply,
    decode,
    encode,
)
from dicom_node.study.sandbox.preload import preload

LOOK_S: Final = 0.005


def main(worker: Channel) -> None:
    """Load the analyzer, then start and end analysis processes until the worker closes the connection."""
    loaded = begin(worker, lambda _: preload())
    if loaded is None:
        return
    analyzer, settings = loaded
    gc.freeze()  # collecting would copy what the forks share
    worker.send(encode(Ready(model=analyzer.model)))
    while True:
        obey(worker, analyzer, settings)


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


if __name__ == "__main__":
    try:
        main(Channel(socket.socket(fileno=int(sys.argv[1]))))
    except (EOFError, OSError):  # the worker has ended
        os._exit(1)
