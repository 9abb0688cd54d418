"""The analysis of one study: images are measured, results written to disk, rows written at the end."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.orm import Session

from dicom_node.errors import AnalysisStopped, NodeError
from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject, UnreportableSource
from dicom_node.report.plan import ReportPlan
from dicom_node.report.refusals import refusal_of
from dicom_node.runtime import Runtime
from dicom_node.study.image_report import ImageReport, record_corrections
from dicom_node.study.image_result import ImageResult
from dicom_node.study.kept_results import keep
from dicom_node.study.predecessors import predecessors_of
from inference.types import ModelIdentity
from store.audit import audit_log
from store.db.states import InstanceState
from store.files.file_store import FileStore
from store.rows import instances, jobs, results, studies
from store.rows.instances import Instance
from store.rows.jobs import Job
from store.rows.results import NewResult

log = structlog.get_logger()

Item = TypeVar("Item")
_ANALYSABLE = {InstanceState.RECEIVED, InstanceState.MEASURED, InstanceState.NOT_MEASURED}


class Interrupted(NodeError):
    """The worker was asked to stop between two images."""


class Superseded(NodeError):
    """A late image has started a later revision of the study, whose job analyses all images."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"superseded by revision {revision}")
        self.revision = revision


class Analyzer(Protocol):
    """Measures stored images: `ImageAnalyzer` in this process, `SandboxedAnalyzer` in a child process."""

    @property
    def model(self) -> ModelIdentity:
        """The networks that measure."""

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one stored file."""

    def report(self, result: ImageResult, path: Path, context: ReportContext) -> list[ReportObject]:
        """Build the result objects of one stored file."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The resources of `run_job`."""

    runtime: Runtime
    analyzer: Analyzer
    plan: ReportPlan
    installation_uid: str


def run_job(job: Job, pipeline: Pipeline) -> None:
    """Images -> strips -> measurements -> result objects on disk -> all rows in one transaction.

    After a crash the job is repeated: the objects depend on the job's row and the image, not on the
    clock, so the same bytes are written under the same UIDs.

    Raises:
        Interrupted: the process was asked to stop between two images; no row was written.
        Superseded: the study is at a later revision; nothing was done.
    """
    stop, images = pipeline.runtime.stop, images_of(job, pipeline)
    image_results = [examine(image, pipeline) for image in until_stopped(stop, images)]
    reportable = to_be_reported(image_results, pipeline.plan)
    reports = [report(image_result, job, pipeline) for image_result in until_stopped(stop, reportable)]
    with pipeline.runtime.database.transaction() as session:
        record_outcomes(session, image_results, job, pipeline)
        for each in reports:
            record_corrections(session, each, job, now=pipeline.runtime.clock())
        record_results(session, [new for each in reports for new in each.results], job, pipeline)
        jobs.finish(session, job, now=pipeline.runtime.clock())


def images_of(job: Job, pipeline: Pipeline) -> list[Instance]:
    """Return the instances that this job analyses, those whose state is analysable and whose file exists.

    Raises:
        Superseded: the study is at a later revision.
    """
    with pipeline.runtime.database.read() as session:
        revision = studies.get(session, job.study_uid).revision
        if revision > job.revision:
            raise Superseded(revision)
        of_study = instances.of_study(session, job.study_uid)
    return [
        each
        for each in of_study
        if each.state in _ANALYSABLE and not is_removed(each, pipeline.runtime.files)
    ]


def is_removed(image: Instance, files: FileStore) -> bool:
    """Tell whether retention has removed the file; a restored database may not have that on record."""
    analysed = image.state is not InstanceState.RECEIVED
    return image.file_gone_at is not None or (analysed and not files.absolute(image.path).exists())


def examine(image: Instance, pipeline: Pipeline) -> ImageResult:
    """Measure one image."""
    return pipeline.analyzer.examine(image, pipeline.runtime.files.absolute(image.path))


def to_be_reported(image_results: Sequence[ImageResult], plan: ReportPlan) -> list[ImageResult]:
    """Return the images to report: those measured and, with `overlay_refusals`, those refused.

    If there are images that were not analysed before, and none of them is among these, then the reports
    of the earlier revision are still complete, and the list is empty. If there are none, the job is a
    replay.
    """
    reportable = [
        image_result
        for image_result in image_results
        if image_result.measured or (plan.overlay_refusals and any(map(refusal_of, image_result.strips)))
    ]
    new = [
        image_result
        for image_result in image_results
        if image_result.image.state is InstanceState.RECEIVED or not image_result.image.detail
    ]
    return reportable if not new or any(image_result in reportable for image_result in new) else []


def report(image_result: ImageResult, job: Job, pipeline: Pipeline) -> ImageReport:
    """Build the result objects of one image and store their files; if impossible, record why."""
    image = image_result.image
    try:
        objects = pipeline.analyzer.report(
            image_result,
            pipeline.runtime.files.absolute(image.path),
            report_context(image, job, pipeline),
        )
    except (UnreportableSource, AnalysisStopped) as error:
        record_refusal(image, job, pipeline, why=str(error))
        return ImageReport(image=image, results=[])
    corrections = objects[0].corrections if objects else ()
    new_results = keep(objects, image, job, pipeline.runtime)
    return ImageReport(image=image, results=new_results, corrections=corrections)


def report_context(image: Instance, job: Job, pipeline: Pipeline) -> ReportContext:
    """Return the context of the objects of one image; it is equal in every attempt of a job."""
    database, files = pipeline.runtime.database, pipeline.runtime.files
    return ReportContext(
        model=pipeline.analyzer.model,
        revision=job.revision,
        predecessors=predecessors_of(image, revision=job.revision, database=database, files=files),
        installation_uid=pipeline.installation_uid,
        # From the job's row, so equal in every attempt; as local time, like all times in DICOM (PS3.5 6.2).
        at=job.created_at.astimezone(),
        plan=pipeline.plan,
    )


def record_refusal(image: Instance, job: Job, pipeline: Pipeline, *, why: str) -> None:
    """Record why an image that was measured has no reports."""
    with pipeline.runtime.database.transaction() as session:
        audit_log.record(
            session,
            "report.refused",
            "refused",
            at=pipeline.runtime.clock(),
            study_uid=job.study_uid,
            sop_instance_uid=image.sop_instance_uid,
            detail={"revision": job.revision, "because": why},
        )


def record_outcomes(
    session: Session, image_results: Sequence[ImageResult], job: Job, pipeline: Pipeline
) -> None:
    """Set every image to MEASURED or NOT_MEASURED, with its numbers or its reason."""
    made_by = {"revision": job.revision, "model_sha256": pipeline.analyzer.model.sha256}
    for image_result in image_results:
        instances.set_outcome(
            session,
            image_result.image.sop_instance_uid,
            InstanceState.MEASURED if image_result.measured else InstanceState.NOT_MEASURED,
            reason=image_result.reason,
            detail={**made_by, **image_result.detail()},
            now=pipeline.runtime.clock(),
        )


def record_results(session: Session, new_results: Sequence[NewResult], job: Job, pipeline: Pipeline) -> None:
    """Write the rows of the results and their deliveries, or record that this revision has none."""
    for new in new_results:
        to = pipeline.plan.destinations(new.kind)
        results.add(session, new, destinations=to, now=pipeline.runtime.clock())
    if not new_results:
        detail = {"revision": job.revision, "because": "no new image gave anything that a destination wants"}
        audit_log.record(
            session, "result.none", at=pipeline.runtime.clock(), study_uid=job.study_uid, detail=detail
        )


def until_stopped(stop: Event, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; raise Interrupted before the next one when `stop` is set."""
    for item in items:
        if stop.is_set():
            raise Interrupted
        yield item
