"""The roles of the node as child processes, each started again with a growing delay when it dies.

Imports nothing heavy: the children load for seconds, and the supervisor starts them before it loads itself.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dicom_node.settings import Settings

WORKER = "worker"
WORKER_NICENESS = 5
"""Receiving comes before measuring: networks that load must not keep a scanner waiting."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 10.0
STEADY_S = 60.0


def start_children(settings: Settings, config_path: Path | None) -> "Sequence[Child]":
    """Start a process for each role of the node."""
    children = [
        Child(role, command, niceness=WORKER_NICENESS if role == WORKER else 0)
        for role, command in commands(settings, config_path).items()
    ]
    for child in children:
        child.tend(time.monotonic())
    return children


def commands(settings: Settings, config_path: Path | None) -> Mapping[str, Sequence[str]]:
    """Return the command line of each role."""
    program = [sys.executable, "-m", "dicom_node.cli.app"]
    options = ["--watch-stdin", *(["--config", str(config_path)] if config_path else [])]
    receivers = {
        f"receiver {number}": [*program, "receive", *options]
        for number in range(1, settings.node.receivers + 1)
    }
    return {**receivers, WORKER: [*program, "work", *options]}


class Child:
    """One role in a process of its own.

    The child's standard input is a pipe that this process holds open: when the pipe ends, because
    it was closed or because this process died in whatever way, the child drains
    (`process.stop_signal`). So no child survives its supervisor, and a stop signal that went to the
    whole process group is not taken for a second one.
    """

    def __init__(self, role: str, command: Sequence[str], *, niceness: int = 0) -> None:
        self.role = role
        self._command = command
        self._niceness = niceness
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = self._due_s = 0.0
        self.delay_s = 0.0

    def tend(self, now_s: float) -> int | None:
        """Start the process if it is due; return its exit code if it died since the last call."""
        if self._process is None:
            if now_s >= self._due_s:
                self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)  # noqa: S603 - our own
                if self._niceness:
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, self._niceness)
                self._started_s = now_s
            return None
        exit_code = self._process.poll()
        if exit_code is not None:
            self.delay_s = next_delay_s(self.delay_s, alive_s=now_s - self._started_s)
            self._due_s = now_s + self.delay_s
            self.drain()
            self._process = None
        return exit_code

    def drain(self) -> None:
        """Ask the process to finish what it has begun and to leave."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End the process at once and wait for it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        """True while there is a process."""
        return self._process is not None and self._process.poll() is None


def next_delay_s(previous_s: float, *, alive_s: float) -> float:
    """Return how long to wait before starting a dead child again: 0.2 s, doubling up to 10 s.

    Who lived for a minute died of something else than its start and begins again at 0.2 s.
    """
    if alive_s >= STEADY_S or previous_s == 0:
        return FIRST_DELAY_S
    return min(2 * previous_s, LONGEST_DELAY_S)
