"""The worker process: one job at a time, and the timed jobs beside it."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import structlog

from dicom_node import __version__
from dicom_node.audit.checkpoints import Checkpointer, last_checkpoint
from dicom_node.errors import AnalyzerError, NodeError, place_of
from dicom_node.identity import installation_uid
from dicom_node.process.locks import WORKER_LOCK, node_runs
from dicom_node.process.stop_signal import StopSignal
from dicom_node.report.plan import ReportPlan
from dicom_node.roles import schedule
from dicom_node.roles.job_outcome import postpone_or_fail, record_transition, retry_or_fail
from dicom_node.roles.start import open_runtime
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer, load_decoder, load_networks
from dicom_node.study.pipeline import Interrupted, Pipeline, Superseded, run_job
from dicom_node.study.sandbox.analyzer import SandboxedAnalyzer
from store.audit import audit_log
from store.db.database import START_CHECK_S
from store.errors import StoreError, StoreUnavailable
from store.rows import jobs
from store.rows.jobs import Job

log = structlog.get_logger()

IDLE_S = 0.5
LOOK_S = 0.1
"""Between two looks whether a stop is requested while the networks are loaded."""


class AlreadyRunning(NodeError):
    """Another worker has this data folder."""


def run_worker(
    settings: Settings, *, watch_stdin: bool = False, load_analyzer: LoadAnalyzer = load_decoder
) -> int:
    """Analyse studies and deliver results until told to stop; return the exit code."""
    try:
        with StopSignal(watch_stdin=watch_stdin) as stop, ExitStack() as resources:
            _run(settings, load_analyzer, stop.requested, resources)
    except (NodeError, StoreError) as error:
        log.error("worker.cannot_run", error=str(error))  # noqa: TRY400 - a sentence, no traceback
        return 1
    return 0


def _run(settings: Settings, load_analyzer: LoadAnalyzer, stop: Event, resources: ExitStack) -> None:
    data_dir = settings.node.data_dir
    networks = load_networks if load_analyzer is load_decoder else None  # others measure without
    resources.enter_context(node_runs(data_dir))
    resources.enter_context(only_worker(data_dir))
    # The networks are loaded meanwhile.
    analyzer = resources.enter_context(SandboxedAnalyzer(settings, load_analyzer, networks))
    runtime = open_runtime(settings, stop)
    resources.callback(runtime.database.close)
    runtime.database.upgrade()
    if not runtime.database.check(limit_s=START_CHECK_S):
        log.info("database.checked_in_part", all_of_it="echonode check")
    pipeline = Pipeline(
        runtime=runtime,
        analyzer=analyzer,
        plan=ReportPlan.of(settings),
        installation_uid=installation_uid(data_dir),
    )
    checkpointer = Checkpointer(settings=settings, database=runtime.database)
    resources.enter_context(last_checkpoint(checkpointer, runtime.clock))
    resources.enter_context(on_duty(runtime))
    scheduler = schedule.worker_scheduler(runtime, lambda: checkpointer.write(runtime.clock()))
    scheduler.start()  # what is due for delivery need not wait for the networks
    resources.callback(scheduler.shutdown)
    while not analyzer.has_loaded(LOOK_S):
        if stop.is_set():
            return
    note_model(pipeline)
    note_confinement(analyzer, runtime)
    while not stop.is_set():
        if not work_once(pipeline):
            stop.wait(IDLE_S)


@contextmanager
def only_worker(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for this process; the kernel lets go of it however the process ends.

    Raises:
        AlreadyRunning: another worker holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / WORKER_LOCK).open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"another worker has the data folder {data_dir}") from None
        yield


@contextmanager
def on_duty(runtime: Runtime) -> Iterator[None]:
    """Record start and end of the worker; at the start, queue again what a crashed one left behind."""
    detail = {"role": "worker", "version": __version__}
    max_attempts = runtime.settings.job.max_attempts
    with runtime.database.transaction() as session:
        audit_log.record(session, "node.started", at=runtime.clock(), detail=detail)
        jobs.requeue_running(session, now=runtime.clock(), max_attempts=max_attempts)
    yield
    with runtime.database.transaction() as session:
        audit_log.record(session, "node.stopped", at=runtime.clock(), detail=detail)


def note_model(pipeline: Pipeline) -> None:
    """Record which networks were loaded.

    Raises:
        AnalyzerError: they cannot be loaded.
    """
    detail = vars(pipeline.analyzer.model)
    with pipeline.runtime.database.transaction() as session:
        audit_log.record(session, "model.loaded", at=pipeline.runtime.clock(), detail=detail)


def note_confinement(analyzer: SandboxedAnalyzer, runtime: Runtime) -> None:
    """Warn, in log and audit, if an analysis on this machine can do more than it should.

    Raises:
        AnalyzerError: and `job.sandbox` is "require".
    """
    confined = analyzer.confined
    if confined.open:
        log.warning("analysis.unconfined", can=confined.open, by=confined.by)
        detail = {"can": list(confined.open), "by": list(confined.by)}
        with runtime.database.transaction() as session:
            audit_log.record(session, "analysis.unconfined", "failure", at=runtime.clock(), detail=detail)


def work_once(pipeline: Pipeline) -> bool:
    """Claim one job and see it through; False when there was none, or no store to ask."""
    try:
        job = claim(pipeline.runtime)
    except StoreUnavailable as error:
        log.warning("worker.waits", error=str(error))
        return False
    if job is not None:
        see_through(job, pipeline)
    return job is not None


def claim(runtime: Runtime) -> Job | None:
    """Claim the next job; None, without having asked for the write lock, when there is none.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    with runtime.database.read() as session:
        if not jobs.is_due(session, now=runtime.clock()):
            return None
    with runtime.database.transaction() as session:
        return jobs.claim(session, now=runtime.clock())


def see_through(job: Job, pipeline: Pipeline) -> None:
    """Run a job; whatever goes wrong becomes the job's next state, never the end of the worker.

    Raises:
        AnalyzerError: no analysis process can be started any more; the job is released.
    """
    runtime, policy = pipeline.runtime, pipeline.runtime.settings.job
    try:
        run_job(job, pipeline)
    except Interrupted:
        record_transition(runtime, partial(jobs.release, job=job))
    except Superseded as error:
        record_transition(runtime, partial(jobs.supersede, job=job, by=error.revision))
    except AnalyzerError:
        record_transition(runtime, partial(jobs.release, job=job))
        raise  # no job can be done here: the supervisor starts another worker
    except StoreUnavailable as error:
        log.warning("job.waits", study=job.study_uid, postponed=job.postponed, error=str(error))
        record_transition(runtime, partial(postpone_or_fail, job=job, error=str(error), policy=policy))
    except Exception as error:
        place = place_of(error)
        log.exception("job.failed", study=job.study_uid, attempt=job.attempts, place=place)
        record_transition(runtime, partial(retry_or_fail, job=job, error=place, policy=policy))
