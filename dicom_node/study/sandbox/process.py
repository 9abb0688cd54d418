"""One analysis process as its parent holds it: started, asked with a deadline, killed."""

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
"""A process whose connection has ended is gone within a moment: a large one has memory to give back."""


class Process:
    """Starts at once; must be killed in the end. Belongs to the thread that made it.

    The kernel's death signal (see `child.die_with_the_worker`) is that of the thread, not of the
    process: made in the main thread it means the same.
    """

    def __init__(self, start: Start) -> None:
        self.model: ModelIdentity | None = None
        """Not before somebody has read it from the first reply."""
        self._connection, theirs = Pipe()
        with theirs:
            self._popen = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "dicom_node.study.sandbox.child", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=_environment(),
            )
        with suppress(OSError):  # dead already: the first outcome says of what
            self._connection.send(start)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def ask(self, request: Request, *, limit_s: float) -> Outcome:
        """Send a request and wait for its outcome, at most `limit_s` seconds."""
        try:
            self._connection.send(request)
        except OSError:
            return self._death()
        return self.outcome(limit_s=limit_s)

    def outcome(self, *, limit_s: float) -> Outcome:
        """Wait for what the process says next, or for its end."""
        try:
            if not self._connection.poll(limit_s):
                return TimedOut()
            reply: Reply = self._connection.recv()
        except (EOFError, OSError, UnpicklingError):
            return self._death()
        return reply

    def kill(self) -> None:
        """End it at once: it holds nothing that could be lost."""
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
    """Return ours, with the places where this process finds its modules.

    Few malloc arenas: each takes 64 MB of address space per thread, whether used or not, and the
    limit on memory counts address space.
    """
    return {
        "MALLOC_ARENA_MAX": "2",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
    }
