"""How long it takes to drain a backlog: the worker's own rounds, with a PACS that takes all at once."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from bench import archive
from bench.costs import CountingDatabase
from bench.measures import settings_of
from support.node_runtime import runtime

from dicom_node.delivery import outbox
from store.db.database import Database

AT_MOST = int(os.environ.get("DRAIN", "2000"))
"""Deliveries that are drained of a backlog; a full drain of 10^5 takes some minutes."""


@dataclass(frozen=True)
class Drained:
    """What one delivery of a backlog costs, without the network and without waiting for the disk."""

    deliveries: int
    ms_each: float
    steps_each: float


class WithoutWaiting(Database):
    """Does not wait for the disk at each commit: what counts is what the rows cost."""

    def _connect(self, *, query_only: bool = False) -> sqlite3.Connection:
        connection = super()._connect(query_only=query_only)
        connection.execute("PRAGMA synchronous=OFF")
        return connection


def drained(folder: Path, size: int, *, at_most: int = AT_MOST) -> Drained:
    """Make a backlog of so many deliveries, and drain it, or the beginning of it, twice."""
    path = folder / "echonode.db"
    archive.make_and_migrate(path, size // 2 + archive.OPEN, pending=size // 2)
    settings = settings_of(folder)
    with closing(CountingDatabase(settings.store_url)) as counting:
        before = CountingDatabase.steps
        few = _deliver(settings, counting, at_most=100)
        steps = CountingDatabase.steps - before
    with closing(WithoutWaiting(settings.store_url)) as database:
        began = time.perf_counter()
        number = _deliver(settings, database, at_most=min(at_most, size - few - 2 * archive.OPEN))
        took_s = time.perf_counter() - began
    return Drained(number, took_s / number * 1000, steps / few)


def _deliver(settings: Any, database: Database, *, at_most: int) -> int:
    node = runtime(settings=settings, database=database, clock=lambda: archive.NOW)
    sent = 0

    def take(_: object, objects: Sequence[object], **__: object) -> Iterator[outbox.Accepted]:
        nonlocal sent
        for _each in objects:
            sent += 1
            if sent == at_most:
                node.stop.set()
            yield outbox.Accepted(status=0)

    with mock.patch.object(outbox, "send_objects", take):
        return outbox.deliver_due(node, settings.destinations[0])
