"""The clock goes back by an hour: nothing waits an hour longer for it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from support.databases import upgraded
from support.node import runtime
from support.raw_rows import without_triggers

from dicom_node.roles.clock_watch import ClockWatch
from store.audit import audit_log
from store.db.database import Database
from store.db.schema import delivery_table, job_table, result_table, study_table
from store.errors import StoreUnavailable

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return a database with a job that may start at 12:00:08 and a delivery due at 12:05."""
    made = upgraded(f"sqlite:///{tmp_path}/echonode.db")
    with made.transaction() as session, without_triggers(session.connection().exec_driver_sql):
        times = {"first_received_at": NOON, "last_received_at": NOON}
        session.execute(insert(study_table).values(study_uid="1.2", state="READY", revision=1, **times))
        job = {"study_uid": "1.2", "revision": 1, "state": "QUEUED", "attempts": 1, "created_at": NOON}
        session.execute(insert(job_table).values(**job, not_before=NOON + timedelta(seconds=8)))
        result = {"kind": "overlay", "study_uid": "1.2", "revision": 1, "source_sop_instance_uid": "1.2.1"}
        result |= {"sop_instance_uid": "1.2.9", "sop_class_uid": "1.2", "path": "p", "sha256": "x"}
        session.execute(insert(result_table).values(id=1, created_at=NOON, **result))
        delivery = {"result_id": 1, "destination": "pacs", "state": "PENDING", "attempts": 6, "asks": 0}
        due = {"waiting_since": NOON, "next_attempt_at": NOON + timedelta(minutes=5)}
        session.execute(insert(delivery_table).values(**delivery, **due))
    yield made
    made.close()


class Clocks:
    """The time of day and the seconds since the machine started."""

    def __init__(self) -> None:
        self.day, self.steady_s = NOON, 1000.0

    def advance(self, seconds: float, *, jump: timedelta = timedelta()) -> None:
        """Let time go by, and somebody set the clock."""
        self.steady_s += seconds
        self.day += timedelta(seconds=seconds) + jump

    def watch(self, database: Database) -> ClockWatch:
        """Return a watch that goes by these clocks."""
        return ClockWatch(
            runtime(
                database.path.parent,
                database=database,
                clock=lambda: self.day,
                steady_s=lambda: self.steady_s,
            )
        )


def waits(database: Database) -> tuple[datetime, datetime]:
    """Return until when the job and the delivery wait."""
    with database.read() as session:
        job, delivery = (
            session.scalar(select(job_table.c.not_before)),
            session.scalar(select(delivery_table.c.next_attempt_at)),
        )
    assert job is not None
    assert delivery is not None
    return job, delivery


def test_an_ordinary_second_changes_nothing(database: Database) -> None:
    """Time that goes by, a small correction and a clock set forward leave every wait as it is."""
    before, clocks = waits(database), Clocks()
    watch = clocks.watch(database)
    for jump in (timedelta(), timedelta(seconds=-1), HOUR):
        assert watch.look() == 0
        clocks.advance(1, jump=jump)
    assert watch.look() == 0
    assert waits(database) == before


def test_set_back_while_the_worker_runs(database: Database) -> None:
    """What began to wait before the clock went back is tried now, once, and audited."""
    clocks = Clocks()
    watch = clocks.watch(database)
    watch.look()
    clocks.advance(1, jump=-HOUR)

    assert watch.look() == 2
    assert waits(database) == (clocks.day, clocks.day)
    clocks.advance(1)
    assert watch.look() == 0
    with database.read() as session:
        (event,) = audit_log.events(session, event="clock.set_back")
        assert event.detail == {"deliveries": 1, "jobs": 1, "commitment_reports": 0}


def test_set_back_while_the_node_was_off(database: Database) -> None:
    """At the start, only what would wait for longer than the settings allow is tried now."""
    clocks = Clocks()
    clocks.day = NOON - timedelta(minutes=30)

    assert clocks.watch(database).look() == 1
    assert waits(database) == (clocks.day, NOON + timedelta(minutes=5))  # 35 minutes: a normal wait
    clocks.day = NOON - 2 * HOUR
    assert clocks.watch(database).look() == 2
    assert waits(database) == (clocks.day, clocks.day)


def test_a_database_that_is_away_is_asked_again(database: Database, tmp_path: Path) -> None:
    """A jump noticed while nothing can be written is dealt with as soon as it can."""
    clocks = Clocks()
    watch = clocks.watch(database)
    watch.look()
    clocks.advance(1, jump=-HOUR)
    database.path.rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable):
        watch.look()
    (tmp_path / "away").rename(database.path)

    assert watch.look() == 2
