"""Roles of the node as forks of one process that has imported everything: hundreds of starts in a minute.

    python -m support.fork_server CONFIG

Each line of standard input is a JSON object {"role": …, "environment": {…}}; the answer is the process
id of a child that runs that role as role.py does. A child that died answers a line "PID STATUS".
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from support.node_processes import SEARCH_PATH
from support.wait import PATIENCE_S, wait_for


class ForkServer:
    """The test's end of it: `start` roles, ask whether they live, `kill` them."""

    def __init__(self, config: Path, log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.fork_server", str(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={**os.environ, "PYTHONPATH": SEARCH_PATH},
            )
        self._started: list[int] = []
        self.exits: dict[int, int] = {}
        """Of each process that died: its exit code, negative for a signal."""
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in set(self._started) - set(self.exits):
            self.kill(pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_S)
        self._listener.join()
        self._process.stdout.close()

    def start(self, role: str, **environment: str) -> int:
        """Fork a role; returns its process id."""
        known = len(self._started)
        assert self._process.stdin is not None
        print(json.dumps({"role": role, "environment": environment}), file=self._process.stdin, flush=True)
        wait_for(lambda: len(self._started) > known, f"a {role} is forked")
        return self._started[-1]

    def alive(self, pid: int) -> bool:
        """Tell whether a process still runs."""
        return pid not in self.exits

    def kill(self, pid: int) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self.alive(pid):
            os.kill(pid, signal.SIGKILL)  # still there, or a zombie until its death is read
            wait_for(lambda: not self.alive(pid), "the killed process is gone")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            pid, *status = (int(word) for word in line.split())
            if status:
                self.exits[pid] = status[0]
            else:
                self._started.append(pid)


def fork(config: str, role: str, environment: Mapping[str, str]) -> int:
    """Run a role in a child; returns its process id."""
    from support import role as roles  # noqa: PLC0415 - imported by main before the first fork

    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        os.dup2(2, 1)
        os.environ.update(environment)
        sys.argv = ["role.py", role, config]
        os._exit(roles.main())
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


def main(config: str) -> None:
    """Fork what standard input asks for, until it ends."""
    import select  # noqa: PLC0415 - of this end alone

    from support import role as roles  # noqa: F401, PLC0415 - so that the children need not

    waiting: Any = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.02)
        reap()
        if not readable:
            continue
        data = os.read(0, 65_536)
        if not data:
            return
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            wish = json.loads(line)
            print(fork(config, wish["role"], wish["environment"]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
