"""Receivers and the worker under one supervisor: a dead one is started again, a stop drains them all."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from threading import Event

import structlog

from dicom_node import __version__
from dicom_node.errors import NodeError
from dicom_node.process.stop_signal import StopSignal
from dicom_node.roles.children import Child
from dicom_node.roles.start import open_runtime
from dicom_node.roles.web import WebService
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from store.audit import audit_log
from store.db.database import START_CHECK_S
from store.errors import StoreError, StoreUnavailable

log = structlog.get_logger()

POLL_S = 0.1


def run_supervisor(settings: Settings, children: Sequence[Child], stop: StopSignal) -> int:
    """Keep the started children running until told to stop; return the exit code."""
    try:
        with ExitStack() as resources:
            runtime = open_runtime(settings, Event())
            resources.callback(runtime.database.close)
            runtime.database.upgrade()
            runtime.database.check(limit_s=START_CHECK_S)
            resources.enter_context(WebService(runtime, on_trouble=partial(_note_web_trouble, runtime)))
            return supervise(children, runtime, stop)
    except (NodeError, StoreError) as error:
        log.error("serve.cannot_run", error=str(error))  # noqa: TRY400 - a sentence, no traceback
        for child in children:
            child.drain()
            child.kill()
        return 1


def supervise(children: Sequence[Child], runtime: Runtime, stop: StopSignal) -> int:
    """Keep the children running until the first signal, then drain them; 1 if a second one killed them."""
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
