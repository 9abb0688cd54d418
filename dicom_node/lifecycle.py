"""How a process of the node is told to stop."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """The first SIGTERM or SIGINT asks for a drain, the second one kills the process.

    With `watch_stdin` the end of standard input asks for a drain too: a supervisor holds the other
    end of that pipe, so its death is noticed however it died.

    Use as a context manager in the main thread; `requested` may be waited on anywhere.
    """

    def __init__(self, *, watch_stdin: bool = False) -> None:
        self.requested = threading.Event()
        # Event.set() in a signal handler can deadlock with the wait() it interrupts; this put() cannot.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._watch_stdin = watch_stdin
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        _start_daemon(self._relay, "stop-signal")
        if self._watch_stdin:
            _start_daemon(self._await_end_of_stdin, "parent-watch")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._wake.put(None)  # ends the relay thread

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until a stop is requested; False when `timeout_s` seconds passed first."""
        return self.requested.wait(timeout_s)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is signal's
        for stop_signal in STOP_SIGNALS:
            signal.signal(stop_signal, signal.SIG_DFL)
        self._wake.put(None)

    def _relay(self) -> None:
        self._wake.get()
        self.requested.set()

    def _await_end_of_stdin(self) -> None:
        # os.read, because a buffered reader held by a daemon thread breaks the interpreter's exit.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        self._wake.put(None)


def _start_daemon(target: Callable[[], None], name: str) -> None:
    threading.Thread(target=target, name=name, daemon=True).start()
