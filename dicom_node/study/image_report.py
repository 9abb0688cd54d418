"""The result objects of one image, and the record of what was corrected in what they copy from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from dicom_node.report.corrections import Correction, as_json
from store.audit import audit_log
from store.rows.instances import Instance
from store.rows.jobs import Job
from store.rows.results import NewResult


@dataclass(frozen=True, kw_only=True)
class ImageReport:
    """The files of one image's results, with what their rows need."""

    image: Instance
    results: Sequence[NewResult]
    corrections: Sequence[Correction] = ()


def record_corrections(session: Session, report: ImageReport, job: Job, *, now: datetime) -> None:
    """Record what of a source could not be copied as it is: how texts were coded, and other values."""
    for event, of_charset in (("report.charset_assumed", True), ("report.source_corrected", False)):
        found = [each for each in report.corrections if each.of_charset is of_charset]
        if found:
            audit_log.record(
                session,
                event,
                at=now,
                study_uid=job.study_uid,
                sop_instance_uid=report.image.sop_instance_uid,
                detail={"revision": job.revision, "attributes": as_json(found)},
            )
