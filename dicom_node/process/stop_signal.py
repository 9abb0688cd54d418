"""The signals that stop a process of the node."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """The first SIGTERM or SIGINT sets `requested`, the second one ends the process at once.

    With `watch_stdin` the end of standard input sets it too: the supervisor holds the other end of that
    pipe, which the kernel closes when the supervisor dies.

    Use as a context manager in the main thread; any thread may wait for `requested`.
    """

    def __init__(self, *, watch_stdin: bool = False) -> None:
        self.requested = threading.Event()
        self._watch_stdin = watch_stdin
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_wakeup = -1
        # Python handlers run in the main thread only, which may be blocked in a wait. The interpreter's
        # C handler writes a byte per signal into this pair, which wakes the relay thread.
        self._wake, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)

    def __enter__(self) -> Self:
        self._previous_wakeup = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
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
        signal.set_wakeup_fd(self._previous_wakeup)
        self._wakeup.close()  # ends the relay thread

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until a stop is requested; False after `timeout_s` seconds without one."""
        return self.requested.wait(timeout_s)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is signal's
        for stop_signal in STOP_SIGNALS:
            signal.signal(stop_signal, signal.SIG_DFL)

    def _relay(self) -> None:
        signals = 0
        with self._wake:
            while numbers := self._wake.recv(16):
                signals += sum(number in STOP_SIGNALS for number in numbers)
                if signals > 1:  # the main thread has not yet restored the default action
                    os._exit(128 + signal.SIGTERM)
                if signals:
                    self.requested.set()

    def _await_end_of_stdin(self) -> None:
        # os.read: a daemon thread inside a buffered reader makes the interpreter's exit fail.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        self.requested.set()


def _start_daemon(target: Callable[[], None], name: str) -> None:
    threading.Thread(target=target, name=name, daemon=True).start()
