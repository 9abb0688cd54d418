"""Programs of the node as forks of one process that has imported everything: a start takes milliseconds.

    python -m support.fork_server [MODULE ...]

It imports these modules, too. Each line of standard input is a JSON object, a `Wish`. The answer is the
process id of a child that runs it. A child that died answers a line "PID STATUS".
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
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from support.forked_popen import REAL_STARTS, run
from support.wait import wait_for

SEARCH_PATH = os.pathsep.join(str(Path(__file__).parents[up]) for up in (2, 1))
"""PYTHONPATH of processes that import the product and these helpers from this source tree."""
IMPORTED = (
    "support.role",
    "support.fake_analyzer",
    "dicom_node.cli.app",
    "dicom_node.roles.receiver",
    "dicom_node.roles.worker",
    "dicom_node.roles.supervisor",
    "dicom_node.study.sandbox.child",
    "alembic.command",
)
NETWORKS_TOO = (
    "inference.analyse",
    "dicom_node.study.sandbox.networks_child",
    "dicom_node.report.build",
    "dicom_node.monitoring.preflight",
    "dicom_node.tools.demo.run",
    "dicom_node.tools.measure",
)
"""What is imported besides for programs that run the networks: torch, above all, which takes seconds."""
LOADED_S = 60.0
"""Until the first fork: so long may all that take on a busy machine."""


class Wish(TypedDict):
    """What is to be run, and where its standard streams lead."""

    words: Sequence[str]
    """The module, and its arguments."""
    environment: Mapping[str, str]
    stdin: str
    stdout: str
    stderr: str


class ForkedProcess:
    """A program that runs: what tests use of subprocess.Popen."""

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
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The test's end of it.

    Args:
        more: modules that it imports besides.
    """

    def __init__(self, *more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.fork_server", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        )
        self._started: list[int] = []
        self._exits: dict[int, int] = {}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(
        self,
        words: Sequence[str],
        *,
        stderr: Path,
        stdout: Path | None = None,
        stdin: str = os.devnull,
        environment: Mapping[str, str] | None = None,
    ) -> ForkedProcess:
        """Fork a child that runs a module with arguments; the streams are files, to which it appends."""
        known = len(self._started)
        wish = Wish(
            words=words,
            environment={**os.environ, **(environment or {})},
            stdin=stdin,
            stdout=str(stdout or stderr),
            stderr=str(stderr),
        )
        assert self._process.stdin is not None
        print(json.dumps(wish), file=self._process.stdin, flush=True)
        wait_for(lambda: len(self._started) > known, f"{words[0]} is forked", limit_s=LOADED_S)
        return ForkedProcess(self._started[-1], self._exits)

    def run(self, *words: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a module with arguments to its end."""
        with TemporaryDirectory() as folder:
            stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
            code = self.start(words, stdout=stdout, stderr=stderr).wait(timeout_s)
            return subprocess.CompletedProcess(words, code, stdout.read_text(), stderr.read_text())

    def close(self) -> None:
        """End it; programs that still run are left to those who started them."""
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
                self._exits.pop(pid, None)  # of a former process with this id
                self._started.append(pid)


@cache
def fork_server() -> ForkServer:
    """Return the one of this test process, started by the first who asks."""
    return _started()


@cache
def network_fork_server() -> ForkServer:
    """Return the one for programs that run the networks: it has imported torch, its forks cost more."""
    return _started(*NETWORKS_TOO)


def _started(*more: str) -> ForkServer:
    made = ForkServer(*more)
    atexit.register(made.close)
    return made


def fork(wish: Wish) -> int:
    """Run a program in a child; returns its process id."""
    pid = os.fork()
    if pid == 0:
        flags = (os.O_RDONLY, *2 * [os.O_WRONLY | os.O_CREAT | os.O_APPEND])
        for stream, name in enumerate(("stdin", "stdout", "stderr")):
            opened = os.open(wish[name], flags[stream])  # type: ignore[literal-required]
            os.dup2(opened, stream)
        if REAL_STARTS in wish["environment"]:
            environment = {**wish["environment"], "PYTHONPATH": SEARCH_PATH}
            os.execve(sys.executable, [sys.executable, "-m", *wish["words"]], environment)  # noqa: S606 - as above
        run(wish["words"], wish["environment"])
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
    for name in (*IMPORTED, *sys.argv[1:]):
        importlib.import_module(name)  # so that the children need not

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
            print(fork(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
