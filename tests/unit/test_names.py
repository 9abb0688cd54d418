"""Look-ups of host names: a deadline, a cache, and one thread per name."""

import threading
import time
from collections.abc import Iterator

import pytest

from dicom_node.network.names import FRESH_S, RETRY_S, NameCache, UnknownHost, look_up


class Resolver:
    """A resolver whose answers and pace the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked: list[str] = []
        self.answers = {"pacs": ("192.0.2.1", "192.0.2.2")}
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.cache = NameCache(self._look_up, lambda: self.now_s)

    def _look_up(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        self.goes_on.wait(10)
        if host not in self.answers:
            raise OSError(-2, "Name or service not known")
        return self.answers[host]


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    """Yield a resolver that lets its threads end."""
    made = Resolver()
    yield made
    made.goes_on.set()


def await_look_ups() -> None:
    """Wait until no look-up runs."""
    until_s = time.monotonic() + 5
    while any(thread.name == "look-up" for thread in threading.enumerate()):
        assert time.monotonic() < until_s
        time.sleep(0.001)


def test_asked_once_while_fresh(resolver: Resolver) -> None:
    """A name is looked up once a minute at most."""
    assert {resolver.cache.addresses("pacs") for _ in range(5)} == {("192.0.2.1", "192.0.2.2")}
    assert resolver.asked == ["pacs"]


def test_the_last_answer_serves_while_the_next_is_awaited(resolver: Resolver) -> None:
    """A name server that stops answering costs nobody a wait once a name is known."""
    resolver.cache.addresses("pacs")
    await_look_ups()
    resolver.now_s = FRESH_S + 1
    resolver.goes_on.clear()
    began_s = time.monotonic()

    assert [resolver.cache.addresses("pacs") for _ in range(3)] == [("192.0.2.1", "192.0.2.2")] * 3

    assert time.monotonic() - began_s < 0.5
    assert resolver.asked == ["pacs", "pacs"]


def test_a_failed_look_up_keeps_the_last_answer(resolver: Resolver) -> None:
    """Addresses are replaced by newer ones, never by nothing."""
    resolver.cache.addresses("pacs")
    await_look_ups()
    resolver.answers = {}
    resolver.now_s = FRESH_S + 1
    resolver.cache.addresses("pacs")
    await_look_ups()

    assert resolver.cache.addresses("pacs") == ("192.0.2.1", "192.0.2.2")

    resolver.answers = {"pacs": ("192.0.2.9",)}
    resolver.now_s += RETRY_S + 1
    resolver.cache.addresses("pacs")
    await_look_ups()
    assert resolver.cache.addresses("pacs") == ("192.0.2.9",)


def test_a_dead_name_server_delays_up_to_the_deadline(resolver: Resolver) -> None:
    """Twenty callers wait for one look-up, none longer than its deadline."""
    resolver.goes_on.clear()
    began_s = time.monotonic()
    failures = []

    def ask() -> None:
        with pytest.raises(UnknownHost) as caught:
            resolver.cache.addresses("pacs", deadline_s=0.2)
        failures.append(str(caught.value))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert time.monotonic() - began_s < 2
    assert failures == ["pacs: no address within 0.2 s"] * 20
    assert resolver.asked == ["pacs"]


def test_an_unknown_name_is_asked_for_again_later(resolver: Resolver) -> None:
    """A failure is remembered for a while, so that a wrong name costs no look-up per association."""
    for _ in range(3):
        with pytest.raises(UnknownHost):
            resolver.cache.addresses("gone")
        await_look_ups()
    assert resolver.asked == ["gone"]

    resolver.now_s = RETRY_S + 1
    with pytest.raises(UnknownHost, match="not known"):
        resolver.cache.addresses("gone")
    assert resolver.asked == ["gone", "gone"]


def test_the_system_resolver() -> None:
    """Names and addresses of this machine are found, IPv4 first."""
    assert look_up("localhost")[0] == "127.0.0.1"
    assert look_up("192.0.2.7") == ("192.0.2.7",)
    with pytest.raises(OSError, match=r".+"):
        look_up("no-such-host.invalid")
