"""The worker's side of one analysis process: start, requests with a time limit, kill."""

import os
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Pipe
from pickle import UnpicklingError
from signal import Signals

from dicom_node.study.sandbox.messages import Died, Outcome, Reply, Request, Start, TimedOut
from inference.types import ModelIdentity

GRACE_S = 5.0
"""How long to wait for the exit code after the connection has ended."""


class AnalysisProcess:
    """One child process: started at construction, to be ended by `kill`.

    Make it in the main thread: the kernel kills the child (see `child.die_with_the_worker`) when the
    thread that started it ends.
    """

    def __init__(self, start: Start) -> None:
        self.model: ModelIdentity | None = None
        """Set by the owner from the first reply."""
        self._connection, child_end = Pipe()
        with child_end:
            self._popen = subprocess.Popen(  # noqa: S603 - a module of this program
                [sys.executable, "-m", "dicom_node.study.sandbox.child", str(child_end.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[child_end.fileno()],
                env=_environment(),
            )
        with suppress(OSError):  # the child has died: the first outcome says why
            self._connection.send(start)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def ask(self, request: Request, *, limit_s: float) -> Outcome:
        """Send a request and wait for its outcome for at most `limit_s` seconds."""
        try:
            self._connection.send(request)
        except OSError:
            return self._death()
        return self.outcome(limit_s=limit_s)

    def outcome(self, *, limit_s: float) -> Outcome:
        """Wait for the next reply or the end of the process, for at most `limit_s` seconds."""
        try:
            if not self._connection.poll(limit_s):
                return TimedOut()
            reply: Reply = self._connection.recv()
        except (EOFError, OSError, UnpicklingError):
            return self._death()
        return reply

    def kill(self) -> None:
        """Kill the process, which has no data to save, and wait for its end."""
        self._popen.kill()
        self._popen.wait()
        self._connection.close()
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def _death(self) -> Died:
        try:
            code = self._popen.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return Died(cause="stopped answering")
        return Died(cause=f"died of {Signals(-code).name}" if code < 0 else f"ended with exit code {code}")


def _environment() -> dict[str, str]:
    """Return the environment of this process with its module search path.

    Two malloc arenas instead of one per thread: each reserves 64 MB of address space, which is what the
    memory limit counts.
    """
    return {
        "MALLOC_ARENA_MAX": "2",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
    }
