"""A process of this program that loads something, then does what the worker says."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from signal import Signals
from typing import Any, Final, Generic, TypeVar

from dicom_node.errors import AnalyzerError
from dicom_node.process.clock import steady_s
from dicom_node.settings import Settings
from dicom_node.study.sandbox.channel import BadReply, Channel
from dicom_node.study.sandbox.messages import (
    MAX_RESULT_BYTES,
    Failure,
    Ready,
    Refusal,
    Report,
    Start,
    decode,
    encode,
)
from inference.types import ModelIdentity

START_LIMIT_S: Final = 300.0
GRACE_S: Final = 1.0
"""How long a process whose connection has ended may take to end itself."""
SECTIONS: Final = ("inference", "job")
"""The tables of the settings that an analysis gets: no path of the node, no name of a peer."""
ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD", "CUDA_VISIBLE_DEVICES")
"""Variables that it gets beside those below and the `LC_` and `OMP_` ones."""


class ProcessEnded(Exception):
    """The process is gone; the message says how, as in "the analysis …"."""


class LoadedProcess:
    """A child of the worker: started at construction, to be ended by `kill`.

    Make it in the main thread: the kernel kills it (see `confinement.die_with_the_parent`) when the thread
    that started it ends.
    """

    program = ""
    """The name of its module."""

    def __init__(self, settings: Settings, load: Callable[[Settings], Any]) -> None:
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - a module of this program
                [sys.executable, "-m", self.program, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=_environment(),
            )
        name = f"{load.__module__}:{load.__qualname__}"
        values = settings.model_dump(mode="json", include=set(SECTIONS))
        with suppress(OSError):  # it has died: the first question says why
            self._channel.send(encode(Start(analyzer=name, settings=values)))
        self._model: ModelIdentity | None = None

    def has_loaded(self, within_s: float) -> bool:
        """Tell whether `model` need not wait; that it has failed is no reason to."""
        return self._model is not None or self._channel.has_news(within_s)

    def model(self) -> ModelIdentity:
        """Return the identity of the networks; wait until they are loaded.

        Raises:
            AnalyzerError: they cannot be loaded.
        """
        if self._model is None:
            self._model = self._loaded()
        return self._model

    def kill(self) -> None:
        """Kill the process, which has no data to save, and wait for its end."""
        self._popen.kill()
        self._popen.wait()
        self._channel.close()
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def _loaded(self) -> ModelIdentity:
        try:
            report: Any = self._receive(START_LIMIT_S)
        except TimeoutError:
            raise AnalyzerError(f"the analysis process was not ready after {START_LIMIT_S:g} s") from None
        except ProcessEnded as error:
            raise AnalyzerError(f"the analysis process {error} before it was ready") from error
        match report:
            case Ready(model=model):
                return model
            case Refusal(sentence=sentence):
                raise AnalyzerError(sentence)
            case Failure(place=place):
                raise AnalyzerError(f"the networks cannot be loaded: {place}")
        raise AnalyzerError("the analysis process was not ready")

    def _ask(self, order: bytes, limit_s: float, descriptors: Sequence[int] = ()) -> Any:
        """Return the answer to an order.

        Raises:
            TimeoutError: there is none in time.
            ProcessEnded: it has ended.
        """
        try:
            self._channel.send(order, descriptors=descriptors, until_s=steady_s() + limit_s)
        except ConnectionError as error:
            raise ProcessEnded(self._end_of_it()) from error
        return self._receive(limit_s)

    def _receive(self, limit_s: float) -> object:
        try:
            data = self._channel.receive(limit_bytes=MAX_RESULT_BYTES, until_s=steady_s() + limit_s)
            return decode(data, Report, object)
        except (EOFError, ConnectionError, BadReply) as error:
            raise ProcessEnded(self._end_of_it()) from error

    def _end_of_it(self) -> str:
        try:
            return how_it_ended(self._popen.wait(GRACE_S))
        except subprocess.TimeoutExpired:
            return "stopped answering"


Process = TypeVar("Process", bound=LoadedProcess)


class Replaceable(Generic[Process]):
    """A process that is started anew after it has ended; it must load the networks of before.

    Args:
        start: starts it.
    """

    def __init__(self, start: Callable[[], Process]) -> None:
        self._start = start
        self._process: Process | None = None
        self._model: ModelIdentity | None = None

    def begin(self) -> Process:
        """Return the process; start it, which loads meanwhile, if there is none."""
        if self._process is None:
            self._process = self._start()
        return self._process

    def has_loaded(self, within_s: float) -> bool:
        """Tell whether `model` need not wait."""
        return self._process is None or self._process.has_loaded(within_s)

    def model(self) -> ModelIdentity:
        """Return the identity of the networks; wait until they are loaded.

        Raises:
            AnalyzerError: they cannot be loaded, or the weights have changed since the worker started.
        """
        try:
            model = self.begin().model()
        except AnalyzerError:
            self.end()
            raise
        if model != (self._model or model):
            raise AnalyzerError("the weights are no longer those that the worker began with")
        self._model = model
        return model

    def end(self) -> None:
        """End the process; the next question starts another one."""
        if self._process is not None:
            self._process.kill()
        self._process = None


def how_it_ended(exit_code: int) -> str:
    """Return the end of a process in words."""
    return f"died of {Signals(-exit_code).name}" if exit_code < 0 else f"ended with exit code {exit_code}"


def _environment() -> dict[str, str]:
    """Return the environment of the analysis: where its modules are, and nothing of the node.

    Two malloc arenas instead of one per thread: each reserves 64 MB of address space, which is what the
    memory limit counts. Libraries start no threads while they load, as a fork would lack them and the
    kernel's restrictions spare those that run already; `use_all_cores` comes later.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ENVIRONMENT or name.startswith(("LC_", "OMP_"))
    }
    return {
        "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2"),
        **kept,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
    }
