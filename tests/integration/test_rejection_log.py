"""Rows that anybody can cause: one a minute for each reason and address, none forgotten."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.databases import upgraded

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.network.peer import Peer
from dicom_node.process.clock import utc_now
from dicom_node.receive.rejection_log import INTERVAL_S, MAX_KINDS, RejectionLog
from store.audit import audit_log
from store.audit.audit_log import AuditEvent
from store.db.database import Database


class Clock:
    """A clock that stands still until it is moved."""

    now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Yield an empty database."""
    opened = upgraded(f"sqlite:///{tmp_path}/echonode.db")
    yield opened
    opened.close()


def rows(database: Database) -> list[AuditEvent]:
    """Return what was written."""
    with database.read() as session:
        return audit_log.events(session)


def test_a_flood_is_one_row_at_once_and_one_a_minute(database: Database) -> None:
    """The first is written at once, a thousand more wait for the end of the minute, with their number."""
    clock = Clock()
    rejection_log = RejectionLog(AuditRecorder(database, utc_now), clock)
    for _ in range(1001):
        rejection_log.note("no", Peer(ae_title="EVIL", ip="192.0.2.1"), called_ae="X")
        rejection_log.flush_due()
    (first,) = rows(database)
    clock.now_s += INTERVAL_S
    rejection_log.flush_due()
    rejection_log.flush_due()

    _, later = rows(database)
    assert (first.event, first.outcome, first.peer_ip, first.peer_ae) == (
        "association.rejected",
        "refused",
        "192.0.2.1",
        "EVIL",
    )
    assert first.detail == {"reason": "no", "called_ae": "X", "count": 1}
    assert later.detail == {"reason": "no", "called_ae": "X", "count": 1000}


def test_kinds_are_apart(database: Database) -> None:
    """Another reason, or another address, has a row of its own at once."""
    rejection_log = RejectionLog(AuditRecorder(database, utc_now), Clock())
    for ip, reason in [("192.0.2.1", "a"), ("192.0.2.1", "b"), ("192.0.2.2", "a"), ("192.0.2.2", "a")]:
        rejection_log.note(reason, Peer(ae_title="", ip=ip))
        rejection_log.flush_due()

    assert [(row.peer_ip, row.detail["reason"], row.detail["count"]) for row in rows(database)] == [
        ("192.0.2.1", "a", 1),
        ("192.0.2.1", "b", 1),
        ("192.0.2.2", "a", 1),
    ]


def test_stop_writes_what_was_counted(database: Database) -> None:
    """Nothing that was counted is forgotten at the end."""
    rejection_log = RejectionLog(AuditRecorder(database, utc_now), Clock())
    for _ in range(5):
        rejection_log.note("no", Peer(ae_title="", ip="192.0.2.1"))
        rejection_log.flush_due()
    rejection_log.flush_due(everything=True)

    assert [row.detail["count"] for row in rows(database)] == [1, 4]


def test_who_has_been_quiet_is_forgotten(database: Database) -> None:
    """After a quiet minute the next one is written at once again."""
    clock = Clock()
    rejection_log = RejectionLog(AuditRecorder(database, utc_now), clock)
    rejection_log.note("no", Peer(ae_title="", ip="192.0.2.1"))
    rejection_log.flush_due()
    clock.now_s += INTERVAL_S
    rejection_log.flush_due()
    rejection_log.note("no", Peer(ae_title="", ip="192.0.2.1"))
    rejection_log.flush_due()

    assert [row.detail["count"] for row in rows(database)] == [1, 1]


def test_any_number_of_addresses(database: Database) -> None:
    """More addresses than anybody has are counted together."""
    rejection_log = RejectionLog(AuditRecorder(database, utc_now), Clock())
    for number in range(MAX_KINDS + 500):
        rejection_log.note("no", Peer(ae_title="", ip=f"2001:db8::{number:x}"))
    rejection_log.flush_due()

    written = rows(database)
    assert len(written) == MAX_KINDS + 1
    assert [row.detail["count"] for row in written if row.peer_ip is None] == [500]
