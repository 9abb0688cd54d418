"""What the program's own functions cost on one archive: seconds, and steps of SQLite's virtual machine."""

import io
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, ClassVar
from unittest import mock

from bench import archive
from prometheus_client import generate_latest
from support import builders
from support.fork_server import SEARCH_PATH
from support.node_processes import toml
from support.node_runtime import runtime, settings_for
from support.wait import free_port, listening

from dicom_node.audit import query
from dicom_node.audit.query import Filter, print_events
from dicom_node.delivery import outbox
from dicom_node.monitoring.metrics import registry
from dicom_node.monitoring.web.health import health
from dicom_node.network.peer import Peer
from dicom_node.receive.ingest import Ingest
from dicom_node.receive.rejection_log import RejectionLog
from dicom_node.roles import schedule, worker
from dicom_node.roles.run_record import RunRecord
from dicom_node.roles.timed_job import Role, TimedJob
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination
from dicom_node.storage.disk import DiskWatch
from store.db.database import Database
from store.rows import jobs

ROUNDS = int(os.environ.get("ROUNDS", "30"))
STARTS = 3
START_LIMIT_S = 120.0
IDLE = "viewer"
"""A destination to which nothing is to be sent, so that its timed jobs show what looking costs."""

LISTENING = "start to listening"

Undo = Callable[[Any], object]
Measure = tuple[Callable[[], object], Undo]
"""What is called, and what brings the archive back to what it was."""
Measures = dict[str, Measure]


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


def settings_of(folder: Path) -> Settings:
    """Return the settings of a node that keeps files for ever: retention looks, and removes nothing."""
    there = Destination(name=archive.DESTINATION, ae_title="PACS", host="127.0.0.1", port=1)
    return settings_for(
        folder,
        destinations=[there, there.model_copy(update={"name": IDLE})],
        sections={"retention": {"days": 36500.0}, "audit": {"keep_days": 36500.0}},
        port=free_port(),
    )


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


def _nothing(_: object) -> None:
    """Undo what needs no undoing."""


def measures(settings: Settings, database: Database, studies: int) -> Measures:
    """Return everything there is to measure, by name."""
    node = runtime(settings=settings, database=database, clock=lambda: archive.NOW)
    metrics = registry(node)
    found: Measures = {
        "store an instance": (_storing(node), _nothing),
        "claim a job": (partial(worker.claim, node), partial(_release, node)),
        "claim: nothing is due": (partial(worker.claim, _before_any_job(node)), _nothing),
        "next due deliveries": (
            lambda: outbox.due(node, archive.NOW, destination=archive.DESTINATION),
            _nothing,
        ),
        "/metrics": (lambda: generate_latest(metrics), _nothing),
        "/healthz": (lambda: health(node), _nothing),
        "audit --study": (_audit(settings, archive.study_uid(studies // 2)), _nothing),
        "audit --study, sealed": (_audit(settings, archive.sealed_study_uid(1)), _nothing),
    }
    for job in _timed_jobs(node):
        found[f"each {job.interval_s:g} s: {job.name}"] = (job.run, _nothing)
    return found


def _storing(node: Runtime) -> Callable[[], object]:
    """Return what takes in another image of another study each time, as a receiver does."""
    ingest, peer = Ingest(node.database, node.files, node.clock), Peer(ae_title=archive.PEER, ip="192.0.2.10")
    prefix = f"1.2.826.0.1.3680043.10.8.{os.getpid()}.{id(node)}"
    numbers = iter(range(10**9))

    def prepare() -> tuple[Path, str]:
        uid = f"{prefix}.{next(numbers)}"
        ds = builders.image_2d(StudyInstanceUID=uid, SOPInstanceUID=f"{uid}.1")
        return builders.save(ds, node.files.incoming / f"{uid}.part"), uid

    prepared = [prepare() for _ in range(ROUNDS + 2)]

    def store() -> None:
        path, uid = prepared.pop()
        sop_class = "1.2.840.10008.5.1.4.1.1.6.1"
        ingest.receive(path, sop_class_uid=sop_class, sop_instance_uid=f"{uid}.1", sender=peer)

    return store


def _release(node: Runtime, job: jobs.Job | None) -> None:
    assert job is not None
    with node.database.transaction() as session:
        jobs.release(session, job, now=archive.NOW)


def _before_any_job(node: Runtime) -> Runtime:
    return replace(node, clock=lambda: archive.NOW.replace(year=1900))


def _audit(settings: Settings, study_uid: str) -> Callable[[], object]:
    def ask() -> None:
        with redirect_stdout(io.StringIO()) as printed:
            print_events(settings, Filter(study_uid=study_uid), "json")
        assert study_uid in printed.getvalue()

    return ask


def _timed_jobs(node: Runtime) -> Iterator[TimedJob]:
    """Yield every job of the program's own table but those that send something."""
    log = RejectionLog(node.recorder, node.steady_s)
    disk = DiskWatch(node.files, node.settings.disk, node.recorder)
    record = RunRecord(node, Role.WORKER)
    yield from schedule._of_receiver(log, disk, record)  # noqa: SLF001 - the table itself
    yield from schedule._of_worker(node, lambda: None, record)  # noqa: SLF001 - as above
    yield from schedule._of_destination(node, node.settings.destinations[1])  # noqa: SLF001 - as above


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
