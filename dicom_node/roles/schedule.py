"""The table of timed jobs: everything that the node does by the clock.

A job looks at rows or at the disk, acts and returns. What must outlast a run is a row, so a missed run
costs one interval and a crashed one nothing. An exception is a failed run: it is logged, counted, shown
by `/healthz` when no run succeeds for three intervals, and the job runs again.
"""

from collections.abc import Callable, Iterator
from functools import partial

from dicom_node.receive.rejection_log import RejectionLog
from dicom_node.roles.run_record import RunRecord
from dicom_node.roles.scheduler import Scheduler
from dicom_node.roles.timed_job import Role, TimedJob
from dicom_node.runtime import Runtime
from dicom_node.settings.sections import Destination
from dicom_node.storage.disk import DiskWatch

HOUR_S, DAY_S = 3600.0, 86_400.0


def worker_scheduler(runtime: Runtime, write_checkpoint: Callable[[], object]) -> Scheduler:
    """Return the jobs of the worker, not started."""
    record = RunRecord(runtime, Role.WORKER)
    jobs = [*_of_worker(runtime, write_checkpoint, record)]
    for destination in runtime.settings.destinations:
        jobs += _of_destination(runtime, destination)
    return Scheduler(runtime, jobs, record)


def receiver_scheduler(runtime: Runtime, rejection_log: RejectionLog, disk: DiskWatch) -> Scheduler:
    """Return the jobs of a receiver, not started."""
    record = RunRecord(runtime, Role.RECEIVER)
    return Scheduler(runtime, list(_of_receiver(rejection_log, disk, record)), record)


# The table: name, role, interval in seconds, jitter in seconds, what is done. A function imports what
# its rows need: a receiver does without cryptography, which takes it 10 MB.


def _of_receiver(rejection_log: RejectionLog, disk: DiskWatch, record: RunRecord) -> Iterator[TimedJob]:
    role = Role.RECEIVER
    yield TimedJob("write rejections", role, 1, 0, rejection_log.flush_due)
    yield TimedJob("look at the disk", role, 10, 0, disk.look)
    yield TimedJob(RunRecord.NAME, role, RunRecord.INTERVAL_S, 0, record.write)


def _of_worker(
    runtime: Runtime, write_checkpoint: Callable[[], object], record: RunRecord
) -> Iterator[TimedJob]:
    from dicom_node.audit.sealing import index_segments, seal_old
    from dicom_node.audit.syslog import SyslogExporter
    from dicom_node.commitment.scu import report_due
    from dicom_node.delivery.outbox import park_homeless
    from dicom_node.monitoring.certificates import warn_of_expiry
    from dicom_node.roles.clock_watch import ClockWatch
    from dicom_node.storage.retention import RetentionSweep
    from dicom_node.study.completion import complete_studies

    role, database, settings = Role.WORKER, runtime.database, runtime.settings
    syslog = SyslogExporter(settings=settings, database=database, steady_s=runtime.steady_s)

    def complete() -> object:
        return complete_studies(database, settings.study, now=runtime.clock())

    def seal() -> object:
        return seal_old(settings, database, now=runtime.clock())

    checkpoints_s = settings.audit.checkpoint_hours * HOUR_S
    yield TimedJob("complete studies", role, 1, 0, complete)
    yield TimedJob("park deliveries without destination", role, 1, 0, partial(park_homeless, runtime))
    yield TimedJob("report storage commitment", role, 1, 0, partial(report_due, runtime))
    yield TimedJob("watch the clock", role, 1, 0, ClockWatch(runtime).look)
    yield TimedJob("send audit messages", role, 5, 0, syslog.send_waiting)
    yield TimedJob("apply retention", role, 60, 5, RetentionSweep(runtime).run)
    yield TimedJob("seal old audit rows", role, 600, 10, seal)
    yield TimedJob("index audit segments", role, 60, 5, partial(index_segments, settings, database))
    yield TimedJob("write audit checkpoints", role, checkpoints_s, 0, write_checkpoint)
    yield TimedJob("look at certificates", role, DAY_S, 60, partial(warn_of_expiry, runtime))
    yield TimedJob(RunRecord.NAME, role, RunRecord.INTERVAL_S, 0, record.write)


def _of_destination(runtime: Runtime, destination: Destination) -> Iterator[TimedJob]:
    from dicom_node.commitment.scu import ask_due
    from dicom_node.delivery.outbox import deliver_due

    role, name = Role.WORKER, destination.name
    yield TimedJob(f"deliver to {name}", role, 1, 0, partial(deliver_due, runtime, destination))
    yield TimedJob(f"ask {name} for storage commitment", role, 1, 0, partial(ask_due, runtime, destination))
