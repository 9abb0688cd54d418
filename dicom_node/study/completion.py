"""When a study counts as complete: a guess, because DICOM has no message that says so."""

from datetime import datetime, timedelta

from dicom_node.settings import StudySettings
from store.rows.studies import Study


def is_complete(study: Study, *, now: datetime, policy: StudySettings) -> bool:
    """Decide whether the images of a receiving study have stopped coming.

    They have when none came for `quiet_seconds`, or when they trickle in for `ceiling_seconds`
    already. A guess that was too early costs nothing: a late image reopens the study.
    """
    quiet = timedelta(seconds=policy.quiet_seconds)
    ceiling = timedelta(seconds=policy.ceiling_seconds)
    # abs(): after the clock was set back, times of receipt lie in the future, perhaps by a year.
    return abs(now - study.last_received_at) >= quiet or abs(now - study.first_received_at) >= ceiling
