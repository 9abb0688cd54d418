"""Limits on how many of something may exist at a time, per key."""

import threading
from collections import Counter
from collections.abc import Hashable


class Quota:
    """A counter per key with a common limit; may be used by several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> bool:
        """Count one more for a key; False, without counting, at the limit."""
        with self._lock:
            if self._taken[key] >= self._limit:
                return False
            self._taken[key] += 1
            return True

    def give_back(self, key: Hashable) -> None:
        """Count one less for a key, after a successful `take`."""
        with self._lock:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
