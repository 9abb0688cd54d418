"""Waiting for a condition, and ports that nobody else has."""

import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE_S = 30.0
FIRST_PORT, PORTS_EACH, SHARES = 12_000, 2_000, 10
"""Of each of the processes that run tests side by side."""


def wait_for(condition: Callable[[], Any], what: str, *, limit_s: float = PATIENCE_S) -> Any:
    """Return what `condition` says as soon as it is true; fail the test when it takes too long."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"still waiting after {limit_s} s: {what}")


def _ports() -> Iterator[int]:
    """Yield ports of this process's share, below those that outgoing connections get."""
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % SHARES
    first = FIRST_PORT + share * PORTS_EACH
    start = os.getpid() % PORTS_EACH
    yield from itertools.cycle([*range(first + start, first + PORTS_EACH), *range(first, first + start)])


PORTS = _ports()


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody else will be given soon."""
    while True:
        port = next(PORTS)
        if not listening(port):
            return port


def listening(port: int) -> bool:
    """Tell whether somebody on this machine accepts connections on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
