"""A PACS fails in every way it can: what becomes of its rows, and that nobody else notices."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, build_context
from pynetdicom.sop_class import Verification
from support.node import NodeHarness, free_port
from support.pacs import Answer, Pacs

from dicom_node.settings.sections import Destination

HOUR = timedelta(hours=1)
Fault = Callable[[int], AbstractContextManager[Destination]]


def answering(answer: Answer) -> Fault:
    """Return a PACS that gives each C-STORE this answer."""

    @contextmanager
    def fault(port: int) -> Iterator[Destination]:
        with Pacs(port=port, answer=answer) as pacs:
            yield pacs.destination

    return fault


def at(port: int, **fields: Any) -> Destination:
    """Return the settings' entry for the PACS at a port."""
    entry = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "timeout_s": 0.5}
    return Destination(**entry | fields)


@contextmanager
def down(port: int) -> Iterator[Destination]:
    """Nobody listens."""
    yield at(port)


@contextmanager
def silent(port: int) -> Iterator[Destination]:
    """The connection is accepted, and then nothing at all."""
    with socket.create_server(("127.0.0.1", port)):
        yield at(port)


@contextmanager
def dns_gone(port: int) -> Iterator[Destination]:
    """The name of the PACS cannot be looked up."""
    yield at(port, host="no-such-host.invalid")


@contextmanager
def knows_us_not(port: int) -> Iterator[Destination]:
    """The PACS rejects the association for good: that is not its AE title."""
    with Pacs(port=port) as pacs:
        pacs.ae.require_called_aet = True
        yield at(port, ae_title="FORMER_NAME")


@contextmanager
def busy(port: int) -> Iterator[Destination]:
    """The PACS rejects the association for now: too many are open."""
    with Pacs(port=port) as pacs:
        pacs.ae.maximum_associations = 1
        other = AE("OTHER").associate("127.0.0.1", port, [build_context(Verification)])
        yield at(port, timeout_s=5)
        other.release()


def aborting(event: Any) -> int:
    """Keep the object and abort before the answer."""
    event.assoc.abort()
    return 0x0000


PASSING, PERMANENT, TAKEN = (
    ("PENDING", "delivery.retry"),
    ("DEAD", "delivery.dead"),
    ("DELIVERED", "delivery.delivered"),
)
MATRIX: dict[str, tuple[Fault, tuple[str, str], str]] = {
    "down": (down, PASSING, "no association with PACS"),
    "accepts and aborts": (answering(aborting), PASSING, "the association"),
    "0xA700": (answering(lambda _: 0xA700), PASSING, "0xA700"),
    "0xA900": (answering(lambda _: 0xA900), PERMANENT, "0xA900"),
    "0xC000": (answering(lambda _: 0xC000), PERMANENT, "0xC000"),
    "0x0122": (answering(lambda _: 0x0122), PERMANENT, "0x0122"),
    "0xB000": (answering(lambda _: 0xB000), TAKEN, "0xB000"),
    "silent": (silent, PASSING, "no association with PACS"),
    "DNS gone": (dns_gone, PASSING, "no-such-host.invalid"),
    "AE title unknown": (knows_us_not, PERMANENT, "Called AE title not recognised"),
    "busy": (busy, PASSING, "Rejected Transient"),
}


@pytest.mark.parametrize(("fault", "outcome", "said"), MATRIX.values(), ids=MATRIX)
def test_faults(tmp_path: Path, fault: Fault, outcome: tuple[str, str], said: str) -> None:
    """Each object is retried, parked or delivered as its fault says; the other destination has everything."""
    port, (state, event) = free_port(), outcome
    with Pacs(name="archive") as archive, fault(port) as destination:
        node = NodeHarness(tmp_path, destination, archive.destination)
        made = [node.add_result(1, study=1), node.add_result(2, study=2, kind="overlay")]
        node.deliver()

        assert made == archive.uids
        assert node.deliveries() == ({"DELIVERED": 4} if state == "DELIVERED" else {"DELIVERED": 2, state: 2})
        events = [each for each in node.events(event) if each.detail["destination"] == "pacs"]
        assert [each.sop_instance_uid for each in events] == made
        assert all(said.casefold() in str(each.detail).casefold() for each in events)

    with Pacs(port=port) as repaired:
        node.use_destinations(repaired.destination, archive.destination)
        node.now += HOUR
        node.deliver()
        node.now += HOUR
        node.deliver()

    assert sorted(repaired.uids) == (sorted(made) if state == "PENDING" else [])
    assert repaired.contradictions() == archive.contradictions() == {}
    assert made == archive.uids
    assert node.deliveries() == ({"DELIVERED": 2, "DEAD": 2} if state == "DEAD" else {"DELIVERED": 4})


@pytest.mark.parametrize("commitment", [False, True])
def test_a_day_without_the_pacs(tmp_path: Path, commitment: bool) -> None:
    """A PACS that is down for 24 h loses nothing and gets nothing twice; the other one never waits."""
    port = free_port()
    with Pacs(name="archive") as archive:
        there = at(port, commitment=commitment)
        node = NodeHarness(tmp_path, there, archive.destination)
        began, made, attempts = node.now, [], 0
        while node.now - began < 24 * HOUR:
            if len(made) < 24:
                made.append(node.add_result(len(made), study=len(made) % 3))
            attempts += node.deliver()
            assert node.deliveries() == {"DELIVERED": len(made), "PENDING": len(made)}
            assert made == archive.uids
            node.now += timedelta(minutes=30)

    with Pacs(port=port, commitment=commitment) as back:
        back.reports_at_once = True
        node.use_destinations(back.destination)
        for _ in range(3):
            node.now += HOUR
            node.deliver()
            node.ask()

    assert sorted(back.uids) == sorted(made)
    assert len(back.uids) == len(set(back.uids))
    end = "COMMITTED" if commitment else "DELIVERED"
    states = node.deliveries()
    assert states.pop("DELIVERED") + states.pop("COMMITTED", 0) == 2 * len(made)
    assert states == {}
    assert len(node.events(f"delivery.{end.lower()}")) == (24 if commitment else 48)
