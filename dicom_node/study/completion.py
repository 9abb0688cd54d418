"""The rule by which a study counts as complete; DICOM storage has no message that says so."""

from datetime import datetime, timedelta

from dicom_node.settings.sections import StudySettings
from store.rows.studies import Study


def is_complete(study: Study, *, now: datetime, policy: StudySettings) -> bool:
    """Tell whether a RECEIVING study is complete.

    It is `quiet_seconds` after its last image, and at the latest `ceiling_seconds` after its first one.
    A later image starts the study's next revision.
    """
    quiet = timedelta(seconds=policy.quiet_seconds)
    ceiling = timedelta(seconds=policy.ceiling_seconds)
    # abs(): after the clock was set back, the times of receipt may be in the future.
    return abs(now - study.last_received_at) >= quiet or abs(now - study.first_received_at) >= ceiling
