"""The only place that reads the system's clocks."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time of day, aware, in UTC; it jumps when the system's clock is set."""
SteadyClock = Callable[[], float]
"""Returns seconds since an arbitrary origin; monotonic."""


def utc_now() -> datetime:
    """Return the time of day in UTC."""
    return datetime.now(UTC)


def steady_s() -> float:
    """Return the monotonic clock in seconds."""
    return time.monotonic()
