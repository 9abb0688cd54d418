"""One study: images, strips, numbers, report objects on disk, and rows that say so."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy.orm import Session

from dicom_node.errors import AnalysisStopped, NodeError
from dicom_node.report.objects import ReportObject, UnreportableSource
from dicom_node.report.plan import ReportPlan
from dicom_node.study.image_result import ImageResult, judged
from dicom_node.study.predecessors import predecessors_of
from inference.types import ModelIdentity, StripResult
from store.audit import audit_log
from store.db.database import Database
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
    """Who looks into the files: `steps.Steps` in this process, `analyst.Analyst` in a process of its own."""

    @property
    def model(self) -> ModelIdentity:
        """What makes the numbers."""

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one kept file."""

    def report(self, path: Path, strips: Sequence[StripResult], **context: Any) -> list[ReportObject]:
        """Build the objects of one kept file."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What the recipe works with."""

    database: Database
    files: FileStore
    steps: Analyzer
    plan: ReportPlan
    installation_uid: str
    clock: Callable[[], datetime]


def run_job(job: Job, pipeline: Pipeline, *, stop: Event) -> None:
    """Images -> strips -> numbers -> report objects on disk -> all rows in one transaction.

    A crash anywhere repeats the job harmlessly: the objects depend on the job's row and on the
    image, not on the clock, so the same bytes are written under the same UIDs.

    Raises:
        Interrupted: `stop` was set between two images; nothing was recorded.
    """
    images = images_of(job, pipeline)
    findings = [find(image, pipeline) for image in unless(stop, images)]
    worthy = worth_reporting(findings, pipeline.plan)
    reports = [new for finding in unless(stop, worthy) for new in report(finding, job, pipeline)]
    with pipeline.database.transaction() as session:
        record_outcomes(session, findings, job, pipeline)
        record_results(session, reports, job, pipeline)
        jobs.finish(session, job, now=pipeline.clock())


def images_of(job: Job, pipeline: Pipeline) -> list[Instance]:
    """Return the instances that this job analyses: no SR, PR …, nothing of our own.

    None at all when a late image has moved the study on: they belong to the job of that revision.
    Those whose files retention removed keep their outcome and their reports.
    """
    with pipeline.database.read() as session:
        if studies.get(session, job.study_uid).revision > job.revision:
            return []
        of_study = instances.of_study(session, job.study_uid)
    return [each for each in of_study if each.state in _ANALYSABLE and not is_gone(each, pipeline.files)]


def is_gone(image: Instance, files: FileStore) -> bool:
    """Tell whether retention has removed the file; in a restored database the row may not know."""
    concluded = image.state is not InstanceState.RECEIVED
    return image.file_gone_at is not None or (concluded and not files.absolute(image.path).exists())


def find(image: Instance, pipeline: Pipeline) -> ImageResult:
    """Measure one image."""
    return pipeline.steps.examine(image, pipeline.files.absolute(image.path))


def worth_reporting(findings: Sequence[ImageResult], plan: ReportPlan) -> list[ImageResult]:
    """Return the images to report on: those measured, and refusals where they are wanted.

    Images that no job has concluded yet are new. If there are some and none of them is to be
    reported, the reports sent before still say all there is. Without new images, someone asked for
    a replay.
    """
    worthy = [
        finding
        for finding in findings
        if finding.measured or (plan.overlay_refusals and any(map(judged, finding.strips)))
    ]
    new = [finding for finding in findings if finding.image.state is InstanceState.RECEIVED]
    return worthy if not new or any(finding in worthy for finding in new) else []


def report(finding: ImageResult, job: Job, pipeline: Pipeline) -> list[NewResult]:
    """Build the objects of one image and make them durable; none, with a reason, if that is impossible."""
    image = finding.image
    try:
        objects = pipeline.steps.report(
            pipeline.files.absolute(image.path),
            finding.strips,
            revision=job.revision,
            predecessors=predecessors_of(
                image, revision=job.revision, database=pipeline.database, files=pipeline.files
            ),
            installation_uid=pipeline.installation_uid,
            # Of the durable row, so equal on every attempt; DICOM times are local ones (PS3.3 C.12.1.1.8).
            at=job.created_at.astimezone(),
            plan=pipeline.plan,
        )
    except (UnreportableSource, AnalysisStopped) as error:
        record_refusal(image, job, pipeline, why=str(error))
        return []
    return [keep(each, image, job, pipeline) for each in objects]


def record_refusal(image: Instance, job: Job, pipeline: Pipeline, *, why: str) -> None:
    """Say in the audit log why an image that was measured has no reports."""
    with pipeline.database.transaction() as session:
        audit_log.record(
            session,
            "report.refused",
            "refused",
            at=pipeline.clock(),
            study_uid=job.study_uid,
            sop_instance_uid=image.sop_instance_uid,
            detail={"revision": job.revision, "because": why},
        )


def keep(new: ReportObject, image: Instance, job: Job, pipeline: Pipeline) -> NewResult:
    """Write one object to disk and describe its row."""
    kept = pipeline.files.keep_result(
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


def record_outcomes(session: Session, findings: Sequence[ImageResult], job: Job, pipeline: Pipeline) -> None:
    """Move every image to MEASURED or NOT_MEASURED, with its numbers or its reason."""
    made_by = {"revision": job.revision, "model_sha256": pipeline.steps.model.sha256}
    for finding in findings:
        instances.set_outcome(
            session,
            finding.image.sop_instance_uid,
            InstanceState.MEASURED if finding.measured else InstanceState.NOT_MEASURED,
            reason=finding.reason,
            detail={**made_by, **finding.detail()},
            now=pipeline.clock(),
        )
        if finding.charset_missing:
            audit_log.record(
                session,
                "report.charset_assumed",
                at=pipeline.clock(),
                study_uid=job.study_uid,
                sop_instance_uid=finding.image.sop_instance_uid,
                detail={"charset": pipeline.plan.default_charset, "revision": job.revision},
            )


def record_results(session: Session, reports: Sequence[NewResult], job: Job, pipeline: Pipeline) -> None:
    """Put the results into the outbox, or say that this revision has none."""
    for new in reports:
        to = pipeline.plan.destinations(new.kind)
        results.add(session, new, destinations=to, now=pipeline.clock())
    if not reports:
        detail = {"revision": job.revision, "because": "no new image gave anything that a destination wants"}
        audit_log.record(session, "result.none", at=pipeline.clock(), study_uid=job.study_uid, detail=detail)


def unless(stop: Event, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; raise Interrupted before the next one once `stop` is set."""
    for item in items:
        if stop.is_set():
            raise Interrupted
        yield item
