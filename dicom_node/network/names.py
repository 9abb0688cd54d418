"""Addresses of host names, with a deadline and a cache, so that a dead name server delays nobody."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass

from dicom_node.process.clock import steady_s

DEADLINE_S = 2.0
"""How long a caller waits for a name that was never looked up with success."""
FRESH_S = 60.0
"""After this time a name is looked up again; until that succeeds, the last addresses are used."""
RETRY_S = 10.0
"""After this time a name without an answer is looked up again."""


class UnknownHost(OSError):
    """The host name has no address, or none was found in time."""


@dataclass
class _Entry:
    """What is known of one name."""

    addresses: tuple[str, ...] = ()
    due_s: float = 0.0
    """When the next look-up is due, on the steady clock."""
    running: Future[tuple[str, ...]] | None = None


class NameCache:
    """Addresses by host name; a name is looked up by at most one thread at a time.

    Holds as many entries as there are host names in the settings.
    """

    def __init__(
        self, look_up: Callable[[str], tuple[str, ...]], clock: Callable[[], float] = steady_s
    ) -> None:
        self._look_up, self._clock = look_up, clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def addresses(self, host: str, *, deadline_s: float = DEADLINE_S) -> tuple[str, ...]:
        """Return the addresses of a host, IPv4 first; at once if they were found before.

        Raises:
            UnknownHost: there are none, or the look-up takes longer than `deadline_s`.
        """
        with self._lock:
            entry = self._entries.setdefault(host, _Entry())
            if entry.running is None and self._clock() >= entry.due_s:
                self._start(host, entry)
            known, running = entry.addresses, entry.running
        if known:
            return known
        if running is None:
            raise UnknownHost(f"{host}: the last look-up found no address")
        try:
            return running.result(timeout=deadline_s)
        except NotInTime:
            raise UnknownHost(f"{host}: no address within {deadline_s:g} s") from None

    def _start(self, host: str, entry: _Entry) -> None:
        entry.running = Future()
        threading.Thread(
            target=self._run, args=(host, entry, entry.running), name="look-up", daemon=True
        ).start()

    def _run(self, host: str, entry: _Entry, future: Future[tuple[str, ...]]) -> None:
        try:
            found = self._look_up(host)
        except (OSError, UnicodeError) as error:
            self._finish(entry, (), RETRY_S)
            future.set_exception(UnknownHost(f"{host}: {getattr(error, 'strerror', None) or error}"))
        else:
            self._finish(entry, found, FRESH_S)
            future.set_result(found)

    def _finish(self, entry: _Entry, found: tuple[str, ...], again_s: float) -> None:
        with self._lock:
            entry.addresses = found or entry.addresses
            entry.due_s = self._clock() + again_s
            entry.running = None


def look_up(host: str) -> tuple[str, ...]:
    """Ask the system's resolver for the addresses of a host, IPv4 first.

    Raises:
        OSError: there are none.
    """
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    ordered = sorted(entries, key=lambda entry: entry[0] != socket.AF_INET)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in ordered))


NAMES = NameCache(look_up)
"""The cache of this process."""
