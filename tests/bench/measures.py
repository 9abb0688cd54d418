"""What is measured: the program's own functions, each with what brings the archive back to what it was."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import archive
from bench.audit_chain import PEER
from prometheus_client import generate_latest
from support import builders
from support.node_runtime import runtime, settings_for
from support.wait import free_port

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
IDLE = "viewer"
"""A destination to which nothing is to be sent, so that its timed jobs show what looking costs."""

Undo = Callable[[Any], object]
Measure = tuple[Callable[[], object], Undo]
"""What is called, and what brings the archive back to what it was."""
Measures = dict[str, Measure]


def settings_of(folder: Path) -> Settings:
    """Return the settings of a node that keeps files for ever: retention looks, and removes nothing."""
    there = Destination(name=archive.DESTINATION, ae_title="PACS", host="127.0.0.1", port=1)
    return settings_for(
        folder,
        destinations=[there, there.model_copy(update={"name": IDLE})],
        sections={"retention": {"days": 36500.0}, "audit": {"keep_days": 36500.0}},
        port=free_port(),
    )


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
    ingest, peer = Ingest(node.database, node.files, node.clock), Peer(ae_title=PEER, ip="192.0.2.10")
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
