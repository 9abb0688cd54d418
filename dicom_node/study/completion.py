"""The rule by which a study counts as complete; DICOM storage has no message that says so."""

from datetime import datetime, timedelta

from dicom_node.settings.sections import StudySettings
from store.db.database import Database
from store.rows import studies
from store.rows.studies import Study


def complete_studies(database: Database, policy: StudySettings, *, now: datetime) -> int:
    """Queue a job for every study that is complete at `now`; return how many."""
    with database.read() as session:
        if not any(is_complete(study, now=now, policy=policy) for study in studies.receiving(session)):
            return 0
    with database.transaction() as session:
        # Asked again: an image may have come since, and inside a write transaction none can.
        complete = [
            study for study in studies.receiving(session) if is_complete(study, now=now, policy=policy)
        ]
        for study in complete:
            studies.mark_ready(session, study.study_uid, now=now)
    return len(complete)


def is_complete(study: Study, *, now: datetime, policy: StudySettings) -> bool:
    """Tell whether a RECEIVING study is complete.

    It is `quiet_seconds` after its last image, and at the latest `ceiling_seconds` after its first one.
    A later image starts the study's next revision.
    """
    quiet = timedelta(seconds=policy.quiet_seconds)
    ceiling = timedelta(seconds=policy.ceiling_seconds)
    # abs(): after the clock was set back, the times of receipt may be in the future.
    return abs(now - study.last_received_at) >= quiet or abs(now - study.first_received_at) >= ceiling
