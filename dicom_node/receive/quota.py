"""Places that are given to few at a time."""

import threading
from collections import Counter
from collections.abc import Hashable


class Quota:
    """At most `limit` places for each key, taken and given back by any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> bool:
        """Take a place; False when all are taken."""
        with self._lock:
            if self._taken[key] >= self._limit:
                return False
            self._taken[key] += 1
            return True

    def give_back(self, key: Hashable) -> None:
        """Give a place back that was taken."""
        with self._lock:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
