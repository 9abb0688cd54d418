"""The worker's side of the analysis: the template process, and the analysis processes that it forks."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from signal import Signals
from typing import Any, BinaryIO, Final

import structlog

from dicom_node.errors import AnalyzerError
from dicom_node.process.clock import steady_s
from dicom_node.process.logs import printable
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer
from dicom_node.study.sandbox.channel import BadReply, Channel
from dicom_node.study.sandbox.messages import (
    MAX_REPORTS_BYTES,
    MAX_RESULT_BYTES,
    BuildReport,
    Confined,
    End,
    Ended,
    Examine,
    Failure,
    Fork,
    Forked,
    Lost,
    Outcome,
    Ready,
    Refusal,
    Reply,
    Report,
    Request,
    Start,
    decode,
    encode,
)
from inference.types import ModelIdentity

log = structlog.get_logger()

START_LIMIT_S: Final = 300.0
GRACE_S: Final = 1.0
"""How long a process whose connection has ended may take to end itself."""
CONFINE_LIMIT_S: Final = 30.0
SECTIONS: Final = ("inference", "job")
"""The tables of the settings that an analysis gets: no path of the node, no name of a peer."""
ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD", "CUDA_VISIBLE_DEVICES")
"""Variables that it gets beside those below and the `LC_` and `OMP_` ones."""
LONGEST_LINE: Final = 400


class TemplateEnded(Exception):
    """The template process is gone; the message says how, as in "the analysis …"."""


class Template:
    """The process that loads the networks and forks: started at construction, to be ended by `kill`.

    Make it in the main thread: the kernel kills it (see `child.die_with_the_parent`) when the thread that
    started it ends.
    """

    def __init__(self, settings: Settings, load_analyzer: LoadAnalyzer) -> None:
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - a module of this program
                [sys.executable, "-m", "dicom_node.study.sandbox.child", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=_environment(),
            )
        name = f"{load_analyzer.__module__}:{load_analyzer.__qualname__}"
        values = settings.model_dump(mode="json", include=set(SECTIONS))
        with suppress(OSError):  # it has died: the first question says why
            self._channel.send(encode(Start(analyzer=name, settings=values)))
        self._model: ModelIdentity | None = None

    def model(self) -> ModelIdentity:
        """Return the identity of the networks; wait until they are loaded.

        Raises:
            AnalyzerError: they cannot be loaded.
        """
        if self._model is None:
            self._model = self._loaded()
        return self._model

    def fork(self) -> "AnalysisProcess":
        """Return a new analysis process.

        Raises:
            TemplateEnded: this one has ended.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            forked: Forked = self._ask(encode(Fork()), Forked, descriptors=[theirs.fileno()])
        return AnalysisProcess(self, Channel(ours), forked.pid)

    def end(self, pid: int, *, grace_s: float) -> Ended:
        """End an analysis process.

        Raises:
            TemplateEnded: this one has ended, and all its processes with it.
        """
        ended: Ended = self._ask(encode(End(pid=pid, grace_s=grace_s)), Ended)
        return ended

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
        except TemplateEnded as error:
            raise AnalyzerError(f"the analysis process {error} before it was ready") from error
        match report:
            case Ready(model=model):
                return model
            case Refusal(sentence=sentence):
                raise AnalyzerError(sentence)
            case Failure(place=place):
                raise AnalyzerError(f"the networks cannot be loaded: {place}")
        raise AnalyzerError("the analysis process was not ready")

    def _ask(
        self, order: bytes, expected: type[Any], *, descriptors: tuple[int, ...] | list[int] = ()
    ) -> Any:
        try:
            self._channel.send(order, descriptors=descriptors)
            report = self._receive(START_LIMIT_S)
        except (OSError, TimeoutError) as error:
            raise TemplateEnded(self._end_of_it()) from error
        if not isinstance(report, expected):
            raise TemplateEnded("cannot fork")
        return report

    def _receive(self, limit_s: float) -> object:
        try:
            data = self._channel.receive(limit_bytes=MAX_RESULT_BYTES, until_s=steady_s() + limit_s)
            return decode(data, Report, object)
        except (EOFError, ConnectionError, BadReply) as error:
            raise TemplateEnded(self._end_of_it()) from error

    def _end_of_it(self) -> str:
        try:
            return how_it_ended(self._popen.wait(GRACE_S))
        except subprocess.TimeoutExpired:
            return "stopped answering"


class AnalysisProcess:
    """One fork of the template, which is given the files of one study."""

    def __init__(self, template: Template, channel: Channel, pid: int) -> None:
        self._template, self._channel = template, channel
        self.pid = pid
        self._asked, self._ended = 0, False

    def confined(self) -> Confined | Lost:
        """Return what it has given up, before its first file."""
        reply = self._reply(
            0, CONFINE_LIMIT_S, limit_bytes=MAX_RESULT_BYTES, until_s=steady_s() + CONFINE_LIMIT_S
        )
        match reply:
            case Confined() | Lost():
                return reply
            case Failure(place=place):
                return Lost(cause=f"failed ({place})")
        return Lost(cause="did not say what it can do")

    def ask(self, do: Examine | BuildReport, file: BinaryIO, *, limit_s: float) -> Outcome:
        """Hand over an open file and a question; wait for the outcome for at most `limit_s` seconds."""
        if self._channel.has_unread():
            return Lost(cause="spoke without being asked")
        self._asked += 1
        until_s = steady_s() + limit_s
        most = MAX_RESULT_BYTES if isinstance(do, Examine) else MAX_REPORTS_BYTES
        try:
            request = encode(Request(id=self._asked, do=do))
            self._channel.send(request, descriptors=[file.fileno()], until_s=until_s)
        except TimeoutError:
            return stopped(limit_s)
        except ConnectionError:
            return self._death()
        return self._reply(self._asked, limit_s, limit_bytes=most, until_s=until_s)

    def end(self) -> None:
        """Kill it, unless it has ended, and wait for its end."""
        self._channel.close()
        if not self._ended:
            with suppress(TemplateEnded):
                self._template.end(self.pid, grace_s=0)

    def _reply(self, number: int, limit_s: float, *, limit_bytes: int, until_s: float) -> Outcome:
        try:
            reply = decode(self._channel.receive(limit_bytes=limit_bytes, until_s=until_s), Reply, Reply)
        except TimeoutError:
            return stopped(limit_s)
        except BadReply as error:
            return Lost(cause=str(error))
        except (EOFError, ConnectionError):
            return self._death()
        if reply.id != number:
            return Lost(cause="answered another question")
        if self._channel.has_unread():
            return Lost(cause="spoke without being asked")
        for line in reply.log:
            log.warning("analysis.log", line=printable(line, LONGEST_LINE))
        return reply.answer

    def _death(self) -> Lost:
        self._ended = True
        try:
            ended = self._template.end(self.pid, grace_s=GRACE_S)
        except TemplateEnded as error:
            return Lost(cause=str(error))
        return Lost(cause="stopped answering" if ended.killed else how_it_ended(ended.exit_code))


def stopped(limit_s: float) -> Lost:
    """Return the outcome of a question that was not answered in time; a second time would be too long."""
    return Lost(cause=f"was stopped after {limit_s:g} s", again=False)


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
