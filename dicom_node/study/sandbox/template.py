"""The worker's side of the template process, and of the analysis processes that it forks."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from dicom_node.process.clock import steady_s
from dicom_node.process.logs import printable
from dicom_node.study.sandbox.channel import BadReply, Channel
from dicom_node.study.sandbox.loaded_process import GRACE_S, LoadedProcess, ProcessEnded, how_it_ended
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
    Reply,
    Request,
    decode,
    encode,
)

log = structlog.get_logger()

FORK_LIMIT_S: Final = 60.0
CONFINE_LIMIT_S: Final = 30.0
LONGEST_LINE: Final = 400


class Template(LoadedProcess):
    """The process that loads what decodes and reports, reads no file, and forks."""

    program = "dicom_node.study.sandbox.child"

    def fork(self) -> "AnalysisProcess":
        """Return a new analysis process.

        Raises:
            ProcessEnded: this one has ended.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            forked = self._order(Fork(), [theirs.fileno()])
        if not isinstance(forked, Forked):
            raise ProcessEnded("cannot fork")
        return AnalysisProcess(self, Channel(ours), forked.pid)

    def end(self, pid: int, *, grace_s: float) -> Ended:
        """End an analysis process.

        Raises:
            ProcessEnded: this one has ended, and all its processes with it.
        """
        ended = self._order(End(pid=pid, grace_s=grace_s))
        if not isinstance(ended, Ended):
            raise ProcessEnded("does not say how a process ended")
        return ended

    def _order(self, order: Fork | End, descriptors: list[int] | None = None) -> object:
        try:
            found: object = self._ask(encode(order), FORK_LIMIT_S, descriptors or [])
        except TimeoutError as error:
            raise ProcessEnded("stopped answering") from error
        return found


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
        return Lost(cause="did not say what it can do")

    def ask(self, do: Examine | BuildReport, files: Sequence[int], *, limit_s: float) -> Outcome:
        """Hand over open files with a question; wait for the outcome for at most `limit_s` seconds."""
        if self._channel.has_unread():
            return Lost(cause="spoke without being asked")
        self._asked += 1
        until_s = steady_s() + limit_s
        most = MAX_RESULT_BYTES if isinstance(do, Examine) else MAX_REPORTS_BYTES
        try:
            request = encode(Request(id=self._asked, do=do))
            self._channel.send(request, descriptors=files, until_s=until_s)
        except TimeoutError:
            return stopped(limit_s)
        except ConnectionError:
            return self._death()
        return self._reply(self._asked, limit_s, limit_bytes=most, until_s=until_s)

    def end(self) -> None:
        """Kill it, unless it has ended, and wait for its end."""
        self._channel.close()
        if not self._ended:
            with suppress(ProcessEnded):
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
        if self._channel.has_unread():
            return Lost(cause="spoke without being asked")
        return answer_to(number, reply)

    def _death(self) -> Lost:
        self._ended = True
        try:
            ended = self._template.end(self.pid, grace_s=GRACE_S)
        except ProcessEnded as error:
            return Lost(cause=str(error))
        return Lost(cause="stopped answering" if ended.killed else how_it_ended(ended.exit_code))


def answer_to(number: int, reply: Reply) -> Outcome:
    """Return the answer in a reply, if it is one to this question."""
    if reply.id == 0 and isinstance(reply.answer, Failure):
        return Lost(cause=f"failed ({reply.answer.place})")
    if reply.id != number:
        return Lost(cause="answered another question")
    for line in reply.log:
        log.warning("analysis.log", line=printable(line, LONGEST_LINE))
    return reply.answer


def stopped(limit_s: float) -> Lost:
    """Return the outcome of a question that was not answered in time; a second time would be too long."""
    return Lost(cause=f"was stopped after {limit_s:g} s", again=False)
