"""Result objects of an image become files, announced before they are written; their rows follow."""

from collections.abc import Sequence

import structlog

from dicom_node.report.objects import ReportObject
from dicom_node.runtime import Runtime
from store.rows import announced_results
from store.rows.instances import Instance
from store.rows.jobs import Job
from store.rows.results import NewResult

log = structlog.get_logger()


def keep(objects: Sequence[ReportObject], image: Instance, job: Job, runtime: Runtime) -> list[NewResult]:
    """Store the files of the objects of one image; return the rows to be written.

    Raises:
        StoreError: a file could not be written, or the database not be used.
    """
    _announce(objects, job, runtime)
    return [_keep(each, image, job, runtime) for each in objects]


def _announce(objects: Sequence[ReportObject], job: Job, runtime: Runtime) -> None:
    """Record which files will be written: whatever becomes of the job, none stays without a row."""
    uids = [each.sop_instance_uid for each in objects]
    paths = [runtime.files.result_path(study_uid=job.study_uid, sop_instance_uid=uid) for uid in uids]
    with runtime.database.transaction() as session:
        announced_results.announce(session, paths, job_id=job.id)


def _keep(new: ReportObject, image: Instance, job: Job, runtime: Runtime) -> NewResult:
    kept = runtime.files.keep_result(new.data, study_uid=job.study_uid, sop_instance_uid=new.sop_instance_uid)
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
