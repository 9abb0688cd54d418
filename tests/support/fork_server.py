"""Roles of the node as forks of one process that has imported everything: a start takes milliseconds.

    python -m support.fork_server

Each line of standard input is a JSON object: the arguments of a role (see role.py), its environment
and its log. The answer is the process id of a child that runs it. A child that died answers a line
"PID STATUS".
"""

import atexit
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from support.wait import wait_for

SEARCH_PATH = os.pathsep.join(str(Path(__file__).parents[up]) for up in (2, 1))
"""PYTHONPATH of processes that import the product and these helpers from this source tree."""


class ForkedProcess:
    """A role that runs: what tests use of subprocess.Popen."""

    def __init__(self, pid: int, exits: Mapping[int, int]) -> None:
        self.pid = pid
        self._exits = exits

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._exits.get(self.pid)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end; return the exit code."""
        wait_for(lambda: self.poll() is not None, f"process {self.pid} ends", limit_s=timeout)
        return self._exits[self.pid]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)  # still there, or a zombie until its death is read

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The test's end of it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        )
        self._started: list[int] = []
        self._exits: dict[int, int] = {}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> ForkedProcess:
        """Fork a role."""
        known = len(self._started)
        wish = {"arguments": arguments, "log": str(log), "environment": environment}
        assert self._process.stdin is not None
        print(json.dumps(wish), file=self._process.stdin, flush=True)
        wait_for(lambda: len(self._started) > known, f"{arguments[0]} is forked")
        return ForkedProcess(self._started[-1], self._exits)

    def close(self) -> None:
        """End it; roles that still run are left to those who started them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._listener.join()
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            pid, *status = (int(word) for word in line.split())
            if status:
                self._exits[pid] = status[0]
            else:
                self._started.append(pid)


@cache
def fork_server() -> ForkServer:
    """Return the one of this test process, started by the first who asks."""
    made = ForkServer()
    atexit.register(made.close)
    return made


def fork(arguments: Sequence[str], log: str, environment: Mapping[str, str]) -> int:
    """Run a role in a child; returns its process id."""
    from support import role  # noqa: PLC0415 - imported by main before the first fork

    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(environment)
        sys.argv = ["role.py", *arguments]
        code = 1
        try:
            code = role.main()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return pid


def reap() -> None:
    """Say of each child that died how it died."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        print(pid, os.waitstatus_to_exitcode(status), flush=True)


def main() -> None:
    """Fork what standard input asks for, until it ends."""
    for name in ("role", "fake_analyzer"):
        importlib.import_module(f"support.{name}")  # so that the children need not
    for name in ("receiver", "worker", "supervisor"):
        importlib.import_module(f"dicom_node.roles.{name}")

    unfinished: Any = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.02)
        reap()
        if not readable:
            continue
        data = os.read(0, 65_536)
        if not data:
            return
        *lines, unfinished = (unfinished + data).split(b"\n")
        for line in lines:
            print(fork(**json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
