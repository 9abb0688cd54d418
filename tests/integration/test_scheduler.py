"""Timed jobs by the real scheduler, real threads and a time of day that the test sets."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import apscheduler.schedulers.base
import pytest
from structlog.testing import capture_logs
from support.node import runtime, wait_for

from dicom_node.errors import NodeError
from dicom_node.roles import run_record, scheduler, timed_job
from dicom_node.roles.run_record import RunRecord
from dicom_node.roles.scheduler import Scheduler
from dicom_node.roles.timed_job import Role, TimedJob
from dicom_node.runtime import Runtime
from store.db.database import Database
from store.errors import StoreUnavailable
from store.rows import scheduled_jobs
from store.rows.scheduled_jobs import ScheduledJob

HOUR, DAY = 3600.0, 86_400.0
INTERVALS_S = (1.0, 1.0, 5.0, 10.0, 60.0, 600.0, HOUR, 6 * HOUR, DAY, 20 * DAY)
"""As in the table, and longer."""


class Day:
    """The time of day that this process and APScheduler see."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self, tz: Any = UTC) -> datetime:
        """Return the time; APScheduler calls it as `datetime.now`."""
        return datetime.now(tz) + self.shift


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    """Return a time of day that can be set while the scheduler runs."""
    made = Day()
    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", made)
    return made


@pytest.fixture
def node(tmp_path: Path, day: Day) -> Iterator[Runtime]:
    """Return a runtime on an empty database, on that time of day."""
    made = runtime(tmp_path, clock=day.now)
    made.database.upgrade()
    yield made
    made.database.close()


def job(name: str, run: Callable[[], object], interval_s: float = 0.1) -> TimedJob:
    """Return a job of a worker."""
    return TimedJob(name, Role.WORKER, interval_s, 0, run)


@contextmanager
def running(node: Runtime, *jobs: TimedJob) -> Iterator[Scheduler]:
    """Run jobs, and beside them the one that records them."""
    record = RunRecord(node, Role.WORKER)
    recording = job(RunRecord.NAME, record.write, RunRecord.INTERVAL_S)
    made = Scheduler(node, [*jobs, recording], record)
    made.start()
    try:
        yield made
    finally:
        made.shutdown()


class Counted:
    """Jobs that do nothing but count their runs."""

    def __init__(self, intervals_s: Sequence[float] = INTERVALS_S) -> None:
        self.runs: Counter[str] = Counter()
        self.jobs = [
            job(f"{number}: every {interval_s:g} s", self._counting(number, interval_s), interval_s)
            for number, interval_s in enumerate(intervals_s)
        ]

    def _counting(self, number: int, interval_s: float) -> Callable[[], object]:
        return lambda: self.runs.update([f"{number}: every {interval_s:g} s"])

    def since(self, before: Counter[str]) -> list[int]:
        """Return how often each job ran since."""
        return [self.runs[each.name] - before[each.name] for each in self.jobs]


def recorded(database: Database) -> dict[str, ScheduledJob]:
    """Return what the rows say."""
    with database.read() as session:
        return {each.name: each for each in scheduled_jobs.all_jobs(session)}


@pytest.mark.parametrize("hours", [1, 24 * 365])
def test_a_clock_set_back_wakes_every_job(node: Runtime, day: Day, hours: int) -> None:
    """Within three seconds each job runs, whatever its interval, and the short ones go on."""
    counted = Counted()
    with running(node, *counted.jobs):
        wait_for(lambda: all(counted.since(Counter())), "each job has run")
        day.shift += timedelta(hours=2)  # rare jobs are in the middle of their wait
        time.sleep(2 * scheduler.LOOK_S + 0.2)
        before, began_s = Counter(counted.runs), time.monotonic()
        day.shift -= timedelta(hours=hours)
        wait_for(lambda: all(counted.since(before)), "each job has run again", limit_s=3)
        took_s = time.monotonic() - began_s
        before = Counter(counted.runs)
        wait_for(lambda: counted.since(before)[0] >= 2, "a job that runs each second goes on", limit_s=4)
    print(f"clock back by {hours} h: {len(INTERVALS_S)} jobs ran again within {took_s:.2f} s")


def test_thirty_days_forward_cost_one_run_and_no_time(node: Runtime, day: Day) -> None:
    """Each job runs once for all the runs that it missed, and nobody counts through them."""
    counted = Counted()
    with running(node, *counted.jobs):
        wait_for(lambda: all(counted.since(Counter())), "each job has run")
        time.sleep(1.5)  # the first rows are written, which takes longer than later ones
        before = Counter(counted.runs)
        began_s, cpu_s = time.monotonic(), time.process_time()
        day.shift += timedelta(days=30)
        time.sleep(2.0)
        cpu_s, elapsed_s = time.process_time() - cpu_s, time.monotonic() - began_s
        runs = counted.since(before)
    print(f"clock forward by 30 days: {cpu_s * 1000:.1f} ms of CPU in {elapsed_s:.2f} s, runs {runs}")

    assert runs[4:] == [1] * len(INTERVALS_S[4:])  # every minute and rarer
    assert all(1 <= count <= elapsed_s + 2 for count in runs[:2])  # every second: as without the jump
    assert cpu_s < 0.3  # counting through them would take seconds


def test_small_steps_of_the_clock_wake_nobody(node: Runtime, day: Day) -> None:
    """A time server that corrects the clock by a second makes no job run at once."""
    counted = Counted((HOUR,))
    with running(node, *counted.jobs):
        wait_for(lambda: all(counted.since(Counter())), "the job has run")
        for step in (-1, 1, -1):
            day.shift += timedelta(seconds=step)
            time.sleep(scheduler.LOOK_S * 1.5)
    assert counted.since(Counter()) == [1]


def test_a_plan_that_is_too_far_off_is_made_anew(node: Runtime) -> None:
    """A time planned from a clock that was read just before it was set back does not stand."""
    counted = Counted((60.0,))
    with running(node, *counted.jobs) as made:
        wait_for(lambda: all(counted.since(Counter())), "the job has run")
        made._jobs[counted.jobs[0].name].modify(  # noqa: SLF001 - as after a clock set back
            next_run_time=node.clock() + timedelta(hours=1)
        )
        wait_for(lambda: counted.since(Counter()) == [2], "it has run again", limit_s=3)


def test_once_at_the_start_then_once_per_interval(
    node: Runtime, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of every six hours, as audit checkpoints may be, while hours go by."""
    monkeypatch.setattr(scheduler, "LOOK_S", 0.05)
    monkeypatch.setattr(scheduler, "FIRST_RUN_S", 0.01)
    counted = Counted((6 * HOUR,))
    written: list[int] = []
    before: Counter[str] = Counter()
    with running(node, *counted.jobs):
        for _ in range(14):
            time.sleep(0.3)
            written += counted.since(before)
            before = Counter(counted.runs)
            day.shift += timedelta(hours=1)
    assert [hour for hour, count in enumerate(written) if count] == [0, 6, 12]


def test_jobs_that_fail_run_again(node: Runtime) -> None:
    """By a bug, for want of the database or with a sentence: each is logged by name, counted, and goes on."""
    runs: Counter[str] = Counter()

    def failing(name: str, error: Exception) -> TimedJob:
        def run() -> None:
            runs[name] += 1
            raise error

        return job(name, run)

    jobs = [
        failing("a bug", ZeroDivisionError("of MUELLER^ANNA")),
        failing("no database", StoreUnavailable("locked")),
        failing("a sentence", NodeError("the file is gone")),
    ]
    with capture_logs() as logged, running(node, *jobs):
        wait_for(lambda: all(runs[each.name] >= 3 for each in jobs), "each has failed three times")
    rows = recorded(node.database)

    levels = {line["job"]: line["log_level"] for line in logged if line["event"] == "timed_job.failed"}
    assert levels == {"a bug": "error", "no database": "warning", "a sentence": "warning"}
    assert (
        rows["a bug"].error == "ZeroDivisionError in test_scheduler.py:" + rows["a bug"].error.split(":")[1]
    )
    assert (rows["no database"].error, rows["a sentence"].error) == ("locked", "the file is gone")
    assert {name: rows[name].failures for name in runs} == runs
    assert all(rows[name].last_result == "failure" and not rows[name].last_success_at for name in runs)
    assert not any("MUELLER" in str(line) for line in logged)


def test_a_rare_job_that_fails_is_repeated_after_a_minute(
    node: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not wait for hours; once it has succeeded it does."""
    monkeypatch.setattr(timed_job, "RETRY_S", 0.7)
    at_s: list[float] = []

    def run() -> None:
        at_s.append(time.monotonic())
        if len(at_s) < 3:
            raise NodeError

    with running(node, job("checkpoint", run, 6 * HOUR)):
        wait_for(lambda: len(at_s) == 3, "two runs failed, one did not")
        time.sleep(2)
    assert len(at_s) == 3
    assert all(0.7 <= later - earlier <= 10 for earlier, later in pairwise(at_s))
    row = recorded(node.database)["checkpoint"]
    assert (row.last_result, row.failures, row.error) == ("success", 2, "")


def test_a_job_that_hangs_delays_no_other_and_is_not_run_twice(node: Runtime) -> None:
    """While all others but one hang, that one keeps its pace; stopping waits for those that run."""
    release, hanging, ended = threading.Event(), Counter[int](), Counter[int]()

    def hang(number: int) -> None:
        hanging[number] += 1
        release.wait(30)
        ended[number] += 1

    jobs = [job(f"hangs {number}", lambda number=number: hang(number)) for number in range(9)]
    counted = Counted((0.1,))
    with running(node, *jobs, *counted.jobs):
        wait_for(lambda: len(hanging) == 9, "all hang")
        before = Counter(counted.runs)
        time.sleep(2)
        (runs,) = counted.since(before)
        threading.Timer(0.5, release.set).start()
    print(f"beside 9 jobs that hang, a job of every 0.1 s ran {runs} times in 2 s")

    assert runs >= 15
    assert ended == hanging == Counter(dict.fromkeys(range(9), 1))
    rows = recorded(node.database)
    assert all(rows[f"hangs {number}"].last_result == "success" for number in range(9))


def test_nothing_runs_after_the_stop(node: Runtime) -> None:
    """No job is begun any more, the threads are gone, and the rows say that nothing is planned."""
    counted = Counted((0.05,))
    before = threading.active_count()
    with running(node, *counted.jobs):
        wait_for(lambda: counted.since(Counter())[0] > 3, "it runs")
    after = Counter(counted.runs)
    time.sleep(0.3)

    assert counted.since(after) == [0]
    assert threading.active_count() == before
    rows = recorded(node.database)
    assert rows
    assert all(row.next_run_at is None for row in rows.values())


def test_rows_cost_one_transaction_in_ten_seconds(node: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that run many times a second write nothing each time; a result that turns is written at once."""
    transactions, real = [], Database.transaction
    monkeypatch.setattr(Database, "transaction", lambda self: transactions.append(1) or real(self))
    broken = threading.Event()

    def run() -> None:
        if broken.is_set():
            raise NodeError("broken")

    with running(node, *Counted((0.05, 0.05)).jobs, job("turns", run, 0.05)):
        wait_for(lambda: len(recorded(node.database)) == 4, "the first rows are written")
        time.sleep(2)
        quiet = len(transactions)
        time.sleep(3)
        assert len(transactions) == quiet
        assert recorded(node.database)["turns"].last_result == "success"
        assert recorded(node.database)["turns"].next_run_at
        broken.set()
        wait_for(lambda: recorded(node.database)["turns"].error == "broken", "a row says so", limit_s=2)
        broken.clear()
        wait_for(lambda: recorded(node.database)["turns"].error == "", "a row says so", limit_s=2)
    print(f"{quiet} transactions at the start, none in 3 s of 60 runs each, then {len(transactions) - quiet}")


def test_rows_that_cannot_be_written_stop_no_job(
    node: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is away jobs go on; when it is back the rows hold what was counted meanwhile."""
    monkeypatch.setattr(run_record.RunRecord, "INTERVAL_S", 0.2)

    def run() -> None:
        runs.append(1)
        raise NodeError("no")

    runs: list[int] = []
    with running(node, job("fails", run)):
        wait_for(lambda: recorded(node.database), "rows are written")
        node.database.path.rename(tmp_path / "away")
        seen = len(runs)
        wait_for(lambda: len(runs) > seen + 5, "the job goes on")
        (tmp_path / "away").rename(node.database.path)
        wait_for(lambda: recorded(node.database)["fails"].failures > seen + 5, "all are counted")
    assert recorded(node.database)["fails"].failures == len(runs)
    assert recorded(node.database)[RunRecord.NAME].failures > 0


def test_a_new_process_counts_on_and_forgets_what_it_no_longer_does(node: Runtime) -> None:
    """Failures add up over restarts, a success of yesterday stays, a job that is gone has no row."""

    def fail() -> None:
        raise NodeError("no")

    first = [job("of a former PACS", lambda: None, HOUR), job("fails", fail, HOUR)]
    with running(node, *first):
        wait_for(partial(has_failed, node, 1), "it has run, and its row says so")
    assert set(recorded(node.database)) == {"of a former PACS", "fails", RunRecord.NAME}
    with closing(sqlite3.connect(node.database.path)) as connection, connection:
        yesterday = "2026-11-22T20:20:00.000000Z"
        connection.execute("UPDATE scheduled_jobs SET last_success_at = ?", (yesterday,))
    with running(node, job("fails", fail, HOUR)):
        pass  # stopped before its first run: the row says what it said
    assert recorded(node.database)["fails"].error == "no"
    with running(node, job("fails", fail, HOUR)):
        wait_for(partial(has_failed, node, 2), "it has run again, and its row counts on")
    rows = recorded(node.database)
    assert set(rows) == {"fails", RunRecord.NAME}
    assert rows["fails"].failures == 2
    assert rows["fails"].last_success_at == datetime(2026, 11, 22, 20, 20, tzinfo=UTC)


def has_failed(node: Runtime, times: int) -> bool:
    """Tell whether the row of the job "fails" counts so many failures."""
    row = recorded(node.database).get("fails")
    return row is not None and row.failures == times
