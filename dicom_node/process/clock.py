"""The clock: the time of day and the time that passes are read here and nowhere else."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time of day, aware, in UTC; an administrator or a time server may set it."""
SteadyClock = Callable[[], float]
"""Returns seconds from an arbitrary origin; never set, never backwards."""


def utc_now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def steady_s() -> float:
    """Return the seconds that passed since some moment before the process started."""
    return time.monotonic()
