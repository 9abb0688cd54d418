"""Receivers and the worker as child processes: a dead one is started again, a stop drains them all."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event

import structlog

from dicom_node import __version__
from dicom_node.errors import NodeError
from dicom_node.process.locks import node_runs
from dicom_node.process.stop_signal import StopSignal
from dicom_node.roles.start import open_runtime
from dicom_node.roles.web import WebService
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from store.audit import audit_log
from store.db.database import START_CHECK_S
from store.errors import StoreError, StoreUnavailable

log = structlog.get_logger()

POLL_S = 0.1
WORKER = "worker"
WORKER_NICENESS = 5
"""Receiving comes before measuring: networks that load must not keep a scanner waiting."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 10.0
STEADY_S = 60.0


def run_supervisor(settings: Settings, config_path: Path | None) -> int:
    """Run all roles of the node until told to stop; return the exit code."""
    children = [
        Child(role, command, niceness=WORKER_NICENESS if role == WORKER else 0)
        for role, command in commands(settings, config_path).items()
    ]
    try:
        with node_runs(settings.node.data_dir), ExitStack() as resources:
            for child in children:
                child.tend(time.monotonic())  # they load for longer than the next two lines take
            runtime = open_runtime(settings, Event())
            resources.callback(runtime.database.close)
            runtime.database.upgrade()
            runtime.database.check(limit_s=START_CHECK_S)
            resources.enter_context(WebService(runtime, on_trouble=partial(_note_web_trouble, runtime)))
            return supervise(children, runtime)
    except (NodeError, StoreError) as error:
        log.error("serve.cannot_run", error=str(error))  # noqa: TRY400 - a sentence, no traceback
        for child in children:
            child.drain()
            child.kill()
        return 1


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


def supervise(children: Sequence[Child], runtime: Runtime) -> int:
    """Keep the children running until the first signal, then drain them; 1 if a second one killed them."""
    with StopSignal() as stop:
        _note(runtime, "node.started", role="supervisor")
        while not stop.wait(POLL_S):
            for child in children:
                exit_code = child.tend(time.monotonic())
                if exit_code is not None:
                    _note_death(runtime, child, exit_code)
    with StopSignal() as hurry:
        drained = _drain(children, hurry)
    _note(runtime, "node.stopped", role="supervisor", drained=drained)
    return 0 if drained else 1


def _drain(children: Sequence[Child], hurry: StopSignal) -> bool:
    for child in children:
        child.drain()
    while any(child.alive for child in children):
        if hurry.wait(POLL_S):
            for child in children:
                child.kill()
            return False
    return True


def _note_death(runtime: Runtime, child: Child, exit_code: int) -> None:
    detail = {"role": child.role, "exit_code": exit_code, "restart_in_s": child.delay_s}
    log.warning("serve.child_died", **detail)
    _note(runtime, "node.stopped", "failure", **detail)


def _note_web_trouble(runtime: Runtime, why: str) -> None:
    _note(runtime, "web.cannot_listen", "failure", error=why)


def _note(runtime: Runtime, event: str, outcome: str = "success", **detail: object) -> None:
    """Audit, unless the store is away: children matter more than the row about them."""
    try:
        with runtime.database.transaction() as session:
            audit_log.record(
                session, event, outcome, at=runtime.clock(), detail={"version": __version__, **detail}
            )
    except StoreUnavailable as error:
        log.warning("serve.not_audited", event_name=event, error=str(error))
