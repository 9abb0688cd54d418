"""One study: images, strips, numbers, report objects on disk, and rows that say so."""

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
from dicom_node.study.image_result import ImageResult
from dicom_node.study.predecessors import predecessors_of
from inference.types import ModelIdentity, StripResult
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


class Analyzer(Protocol):
    """Measures kept files: `ImageAnalyzer` in this process, `SandboxedAnalyzer` in one of its own."""

    @property
    def model(self) -> ModelIdentity:
        """What makes the numbers."""

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one kept file."""

    def report(self, path: Path, strips: Sequence[StripResult], context: ReportContext) -> list[ReportObject]:
        """Build the objects of one kept file."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What the recipe works with."""

    runtime: Runtime
    analyzer: Analyzer
    plan: ReportPlan
    installation_uid: str


def run_job(job: Job, pipeline: Pipeline) -> None:
    """Images -> strips -> numbers -> report objects on disk -> all rows in one transaction.

    A crash anywhere repeats the job harmlessly: the objects depend on the job's row and on the
    image, not on the clock, so the same bytes are written under the same UIDs.

    Raises:
        Interrupted: the process was asked to stop between two images; nothing was recorded.
    """
    stop, images = pipeline.runtime.stop, images_of(job, pipeline)
    image_results = [find(image, pipeline) for image in unless(stop, images)]
    worthy = worth_reporting(image_results, pipeline.plan)
    reports = [new for image_result in unless(stop, worthy) for new in report(image_result, job, pipeline)]
    with pipeline.runtime.database.transaction() as session:
        record_outcomes(session, image_results, job, pipeline)
        record_results(session, reports, job, pipeline)
        jobs.finish(session, job, now=pipeline.runtime.clock())


def images_of(job: Job, pipeline: Pipeline) -> list[Instance]:
    """Return the instances that this job analyses: no SR, PR …, nothing of our own.

    None at all when a late image has moved the study on: they belong to the job of that revision.
    Those whose files retention removed keep their outcome and their reports.
    """
    with pipeline.runtime.database.read() as session:
        if studies.get(session, job.study_uid).revision > job.revision:
            return []
        of_study = instances.of_study(session, job.study_uid)
    return [
        each for each in of_study if each.state in _ANALYSABLE and not is_gone(each, pipeline.runtime.files)
    ]


def is_gone(image: Instance, files: FileStore) -> bool:
    """Tell whether retention has removed the file; in a restored database the row may not know."""
    concluded = image.state is not InstanceState.RECEIVED
    return image.file_gone_at is not None or (concluded and not files.absolute(image.path).exists())


def find(image: Instance, pipeline: Pipeline) -> ImageResult:
    """Measure one image."""
    return pipeline.analyzer.examine(image, pipeline.runtime.files.absolute(image.path))


def worth_reporting(image_results: Sequence[ImageResult], plan: ReportPlan) -> list[ImageResult]:
    """Return the images to report on: those measured, and refusals where they are wanted.

    Images that no job has concluded yet are new. If there are some and none of them is to be
    reported, the reports sent before still say all there is. Without new images, someone asked for
    a replay.
    """
    worthy = [
        image_result
        for image_result in image_results
        if image_result.measured or (plan.overlay_refusals and any(map(refusal_of, image_result.strips)))
    ]
    new = [
        image_result for image_result in image_results if image_result.image.state is InstanceState.RECEIVED
    ]
    return worthy if not new or any(image_result in worthy for image_result in new) else []


def report(image_result: ImageResult, job: Job, pipeline: Pipeline) -> list[NewResult]:
    """Build the objects of one image and make them durable; none, with a reason, if that is impossible."""
    image = image_result.image
    try:
        objects = pipeline.analyzer.report(
            pipeline.runtime.files.absolute(image.path),
            image_result.strips,
            report_context(image, job, pipeline),
        )
    except (UnreportableSource, AnalysisStopped) as error:
        record_refusal(image, job, pipeline, why=str(error))
        return []
    return [keep(each, image, job, pipeline) for each in objects]


def report_context(image: Instance, job: Job, pipeline: Pipeline) -> ReportContext:
    """Return under which circumstances the objects of one image are made: equal ones on every attempt."""
    database, files = pipeline.runtime.database, pipeline.runtime.files
    return ReportContext(
        model=pipeline.analyzer.model,
        revision=job.revision,
        predecessors=predecessors_of(image, revision=job.revision, database=database, files=files),
        installation_uid=pipeline.installation_uid,
        # Of the durable row, so equal on every attempt; DICOM times are local ones (PS3.3 C.12.1.1.8).
        at=job.created_at.astimezone(),
        plan=pipeline.plan,
    )


def record_refusal(image: Instance, job: Job, pipeline: Pipeline, *, why: str) -> None:
    """Say in the audit log why an image that was measured has no reports."""
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


def keep(new: ReportObject, image: Instance, job: Job, pipeline: Pipeline) -> NewResult:
    """Write one object to disk and describe its row."""
    kept = pipeline.runtime.files.keep_result(
        new.data, study_uid=job.study_uid, sop_instance_uid=new.sop_instance_uid
    )
    if kept.outcome == "adopted":
        log.warning("result.adopted", study=job.study_uid, object=new.sop_instance_uid, path=kept.path)
    return NewResult(
        kind=new.kind,
        study_uid=job.study_uid,
        revision=job.revision,
        source_sop_instance_uid=image.sop_instance_uid,
        sop_instance_uid=new.sop_instance_uid,
        sop_class_uid=new.sop_class_uid,
        path=kept.path,
        sha256=kept.sha256,
    )


def record_outcomes(
    session: Session, image_results: Sequence[ImageResult], job: Job, pipeline: Pipeline
) -> None:
    """Move every image to MEASURED or NOT_MEASURED, with its numbers or its reason."""
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
        if image_result.charset_missing:
            audit_log.record(
                session,
                "report.charset_assumed",
                at=pipeline.runtime.clock(),
                study_uid=job.study_uid,
                sop_instance_uid=image_result.image.sop_instance_uid,
                detail={"charset": pipeline.plan.default_charset, "revision": job.revision},
            )


def record_results(session: Session, reports: Sequence[NewResult], job: Job, pipeline: Pipeline) -> None:
    """Put the results into the outbox, or say that this revision has none."""
    for new in reports:
        to = pipeline.plan.destinations(new.kind)
        results.add(session, new, destinations=to, now=pipeline.runtime.clock())
    if not reports:
        detail = {"revision": job.revision, "because": "no new image gave anything that a destination wants"}
        audit_log.record(
            session, "result.none", at=pipeline.runtime.clock(), study_uid=job.study_uid, detail=detail
        )


def unless(stop: Event, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; raise Interrupted before the next one once `stop` is set."""
    for item in items:
        if stop.is_set():
            raise Interrupted
        yield item
