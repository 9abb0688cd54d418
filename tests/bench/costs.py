"""What the program's own functions cost on archives: seconds, and steps of SQLite's virtual machine."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar
from unittest import mock

from bench.measures import ROUNDS, Measure, Measures, Undo, measures, settings_of
from support.fork_server import SEARCH_PATH
from support.node_processes import toml
from support.wait import listening

from dicom_node.audit import query
from dicom_node.settings import Settings
from store.db.database import Database

STARTS = 3
START_LIMIT_S = 120.0
LISTENING = "start to listening"


@dataclass(frozen=True)
class Cost:
    """What some rounds took."""

    seconds: float
    """The median."""
    best_s: float
    steps: int = 0
    """Virtual machine instructions of SQLite; 0 where they were not counted."""


class CountingDatabase(Database):
    """Counts the steps of all connections of all its instances."""

    steps: ClassVar[int] = 0

    def _connect(self, *, query_only: bool = False) -> sqlite3.Connection:
        connection = super()._connect(query_only=query_only)
        connection.set_progress_handler(self._count, 1)
        return connection

    @staticmethod
    def _count() -> None:
        CountingDatabase.steps += 1


def costs_of(archives: Mapping[int, Path]) -> dict[str, dict[int, Cost]]:
    """Measure everything on archives, given by their number of studies.

    Round by round, each archive in turn, there and back, so that what else the machine does falls upon all.
    """
    settings = {size: settings_of(folder) for size, folder in archives.items()}
    found = {LISTENING: _listening_after(settings)}
    with ExitStack() as opened:
        plain: dict[int, Measures] = {}
        counting: dict[int, Measures] = {}
        for size, each in settings.items():
            for kind, found_by in ((Database, plain), (CountingDatabase, counting)):
                database = opened.enter_context(closing(kind(each.store_url)))
                found_by[size] = measures(each, database, size)
        for name in plain[min(archives)]:
            taken = _taken({size: plain[size][name] for size in archives})
            found[name] = {
                size: Cost(median(taken[size]), min(taken[size]), steps_of(*counting[size][name]))
                for size in archives
            }
    return found


def _taken(calls: Mapping[int, Measure]) -> dict[int, list[float]]:
    taken: dict[int, list[float]] = {size: [] for size in calls}
    for number in range(ROUNDS):
        for size in sorted(calls, reverse=number % 2 == 1):
            taken[size].append(_timed(*calls[size]))
    return taken


def _timed(call: Callable[[], object], undo: Undo) -> float:
    began = time.perf_counter()
    result = call()
    took_s = time.perf_counter() - began
    undo(result)
    return took_s


def steps_of(call: Callable[[], object], undo: Undo) -> int:
    """Count the steps of the second call: the first one fills SQLAlchemy's caches."""
    with mock.patch.object(query, "Database", CountingDatabase):  # which opens its own
        undo(call())
        before = CountingDatabase.steps
        result = call()
        steps = CountingDatabase.steps - before
        undo(result)
    return steps


def _listening_after(settings: Mapping[int, Settings]) -> dict[int, Cost]:
    """Return the seconds from the start of the command to its open port."""
    taken: dict[int, list[float]] = {size: [] for size in settings}
    for _ in range(STARTS):
        for size, each in settings.items():
            config = each.node.data_dir / "echonode.toml"
            config.write_text(toml(each))
            taken[size].append(_start(config, each.node.port))
    return {size: Cost(median(times), min(times)) for size, times in taken.items()}


def _start(config: Path, port: int) -> float:
    with _receiver(config) as began:
        while not listening(port):
            if time.perf_counter() - began > START_LIMIT_S:
                raise TimeoutError("the receiver does not listen")
            time.sleep(0.01)
        return time.perf_counter() - began


@contextmanager
def _receiver(config: Path) -> Iterator[float]:
    command = [sys.executable, "-m", "dicom_node.cli.app", "receive", "--config", str(config)]
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": SEARCH_PATH}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield began
        finally:
            process.terminate()
            process.wait()
