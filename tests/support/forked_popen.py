"""Children that are forks of a process which has imported what they run; that takes two seconds otherwise.

All else is as after an exec: standard input, open files, environment, signals.
"""

import gc
import os
import runpy
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, NoReturn

from support.wait import wait_for

REAL_STARTS = "REAL_STARTS"
"""With this in its environment, a program is started anew, and starts its children as the product does."""
STARTERS = (
    "dicom_node.roles.children",
    "dicom_node.study.sandbox.loaded_process",
    "dicom_node.tools.demo.node",
)
"""Modules that start processes of the product; one that is not imported yet will start them anew."""


class ForkedPopen:
    """A child that runs `python -m MODULE ARGUMENTS`, with what our programs use of a Popen."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int | None = None,
        stdout: BinaryIO | None = None,
        stderr: BinaryIO | None = None,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        assert stdin in (None, subprocess.PIPE)
        self.returncode: int | None = None
        theirs, ours = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            if stdin is not None:
                os.dup2(theirs, 0)
            for number, stream in ((1, stdout), (2, stderr)):
                if stream is not None:
                    os.dup2(stream.fileno(), number)
            run(command[2:], os.environ if env is None else env, keep_open=pass_fds)
        os.close(theirs)
        self.stdin: BinaryIO = os.fdopen(ours, "wb")

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 300.0) -> int:
        """Wait for its end; return the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        with suppress(AssertionError):
            wait_for(lambda: self.poll() is not None, f"process {self.pid} ends", limit_s=timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


FORKING = SimpleNamespace(Popen=ForkedPopen, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
"""What stands for `subprocess` where the product starts processes."""


def run(words: Sequence[str], environment: Mapping[str, str], *, keep_open: Sequence[int] = ()) -> NoReturn:
    """Be the new process: run a module as the main program, and exit as it says."""
    code: Any = 1
    try:
        gc.freeze()  # nothing of the parent's is to close a file of ours
        signal.set_wakeup_fd(-1)
        for handle in Path("/proc/self/fd").iterdir():
            if int(handle.name) not in {0, 1, 2, *keep_open}:
                with suppress(OSError):
                    os.close(int(handle.name))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        needed = dict(environment)
        os.environ.clear()
        os.environ.update(needed)
        sys.argv = [*words]
        for name in STARTERS:
            if name in sys.modules:
                sys.modules[name].subprocess = FORKING  # type: ignore[attr-defined]
        warnings.simplefilter("ignore")  # that the module is there already
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))
