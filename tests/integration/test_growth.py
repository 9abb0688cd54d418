"""What the node asks its database costs the same however many studies it has: plans, and steps of SQLite.

`make bench-growth` measures the same calls in seconds, up to a million studies.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from bench import archive
from bench.audit_chain import PEER
from bench.backlog import drained
from bench.costs import CountingDatabase, steps_of
from bench.measures import Measures, measures, settings_of
from sqlalchemy import Engine, event
from support import builders
from support.node import NodeHarness

from dicom_node.audit import query
from dicom_node.delivery import outbox
from dicom_node.settings.sections import Destination
from store.db.database import Database
from store.db.schema import metadata
from store.rows import (
    backlog,
    commitment_reports,
    commitment_requests,
    deliveries,
    file_removals,
    instances,
    jobs,
    results,
)

FEW, MANY = 1000, 4000
LIMIT = 1.2
SMALL = {
    "announced_results",
    "audit_exports",
    "audit_unindexed_segments",
    "file_removals",
    "file_scans",
    "row_counts",
    "scheduled_jobs",
}
"""Tables whose size does not depend on the number of studies; any other must be searched by an index."""
LAST_ROW = "ORDER BY audit_events.id DESC"
"""Of a scan that ends after the first row."""
SCAN = re.compile(r"SCAN (\w+?)(_\d+)?( |$)")

Statement = tuple[str, Any]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return the folders of a small and a larger archive."""
    folders = {size: tmp_path_factory.mktemp(str(size)) for size in (FEW, MANY)}
    for size, folder in folders.items():
        archive.make_and_migrate(folder / "echonode.db", size)
    return folders


@pytest.fixture(scope="module")
def calls(archives: dict[int, Path]) -> Iterator[dict[int, Measures]]:
    """Return, for each archive, everything that `make bench-growth` measures."""
    opened = {size: CountingDatabase(settings_of(folder).store_url) for size, folder in archives.items()}
    yield {size: measures(settings_of(archives[size]), opened[size], size) for size in archives}
    for database in opened.values():
        database.close()


@contextmanager
def watched() -> Iterator[list[Statement]]:
    """Collect the statements that are executed in the block, with their parameters."""
    found: list[Statement] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        found.append((statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def scans(path: Path, statements: Sequence[Statement]) -> list[str]:
    """Return the statements that read a whole table which grows, with the line of the plan that says so."""
    found = []
    with closing(sqlite3.connect(path)) as connection:
        for statement, parameters in dict(statements).items():
            if not statement.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
                continue
            for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                match = SCAN.match(line)
                grows = match is not None and match[1] in metadata.tables and match[1] not in SMALL
                if grows and not (match is not None and match[1] == "audit_events" and LAST_ROW in statement):
                    found.append(f"{line}: {' '.join(statement.split())}")
    return found


def test_no_table_is_scanned_in_any_tick(archives: dict[int, Path], calls: dict[int, Measures]) -> None:
    """Storing, claiming, every timed job, metrics, health and the audit of a study search by indexes."""
    with watched() as statements, mock.patch.object(query, "Database", Database):
        for call, undo in calls[FEW].values():
            undo(call())

    assert len(dict(statements)) > 30
    assert scans(archives[FEW] / "echonode.db", statements) == []


def test_no_table_is_scanned_in_the_life_of_a_study(tmp_path: Path) -> None:
    """From the first image to the removal of its files, a late image and a restart in between."""
    there = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=1)

    def take(_: object, objects: Sequence[object], **__: object) -> Iterator[outbox.Accepted]:
        yield from (outbox.Accepted(status=0) for _ in objects)

    with closing(NodeHarness(tmp_path, there)) as node, watched() as statements:
        for number in (1, 2):
            node.receive(builders.image_2d(InstanceNumber=number))
            node.work()
            with mock.patch.object(outbox, "send_objects", take):
                node.deliver()
        node.adopt_orphans()
        node.now += timedelta(days=40)
        assert node.apply_retention() > 0

    assert len(dict(statements)) > 30
    assert scans(node.database.path, statements) == []


def test_no_table_is_scanned_by_rarer_questions(archives: dict[int, Path]) -> None:
    """Commitment, parked deliveries, a clock set back, a restart, predecessors."""
    now, uid = archive.NOW, archive.study_uid(1)
    with closing(Database(settings_of(archives[FEW]).store_url)) as database, watched() as statements:
        with database.read() as session:
            commitment_reports.count_pending(session, PEER)
            commitment_reports.due(session, now=now)
            commitment_requests.get(session, "1.2")
            commitment_requests.deliveries_of(session, "1.2")
            deliveries.parked(session)
            deliveries.parked(session, uid)
            deliveries.counts(session)
            results.latest(session, source_sop_instance_uid=uid, before_revision=2)
            instances.stored_sop_classes(session, [uid])
            file_removals.first(session, limit=10)
        with database.transaction() as session:
            jobs.requeue_running(session, now=now, max_attempts=3)
            wait = timedelta(days=1)
            backlog.pull_forward(session, now=now, delivery_wait=wait, job_wait=wait)

    assert scans(archives[FEW] / "echonode.db", statements) == []


def test_a_scan_is_found(archives: dict[int, Path]) -> None:
    """The tests above would see a missing index."""
    statement = "SELECT * FROM studies AS studies_1 WHERE revision = ?"
    named = "SELECT * FROM jobs WHERE attempts = ?"

    assert len(scans(archives[FEW] / "echonode.db", [(statement, (1,)), (named, (1,))])) == 1 + 1


def test_nothing_costs_more_with_more_studies(calls: dict[int, Measures]) -> None:
    """The steps of SQLite's virtual machine are the same with four times as many studies."""
    few = {name: steps_of(*measure) for name, measure in calls[FEW].items()}
    many = {name: steps_of(*measure) for name, measure in calls[MANY].items()}

    assert {name: (few[name], many[name]) for name in few if many[name] > LIMIT * few[name]} == {}
    assert few["store an instance"] > 100  # they were counted


def test_an_idle_node_takes_no_write_lock(calls: dict[int, Measures]) -> None:
    """Neither the worker that looks for a job nor what it does each second begins a write transaction."""
    idle = [call for name, (call, _) in calls[FEW].items() if name.startswith(("each 1 s", "claim: nothing"))]
    assert len(idle) > 5
    for call in idle:
        call()  # the first look at the clock is one that may write
    with watched() as statements:
        for call in idle:
            call()

    assert "BEGIN" in dict(statements)
    assert "BEGIN IMMEDIATE" not in dict(statements)


def test_a_backlog_is_drained_in_linear_time(tmp_path: Path) -> None:
    """What one delivery costs does not depend on how many wait."""
    few, many = (drained(tmp_path / str(size), size, at_most=50) for size in (400, 4000))

    assert many.steps_each < LIMIT * few.steps_each
