"""When a study counts as complete."""

from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.settings.sections import StudySettings
from dicom_node.study.completion import is_complete
from store.db.states import StudyState
from store.rows.studies import Study

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = StudySettings(quiet_seconds=30, ceiling_seconds=900)


@pytest.mark.parametrize(
    ("first_s_ago", "last_s_ago", "complete"),
    [
        (0, 0, False),
        (29.9, 29.9, False),
        (30, 30, True),  # quiet long enough
        (600, 29.9, False),  # still coming
        (899.9, 0, False),
        (900, 0, True),  # trickles for too long
        (-3600, -3600, True),  # the clock was set back by an hour
        (1, -0.5, False),  # two processes read the clock in another order
    ],
)
def test_quiet_or_ceiling(first_s_ago: float, last_s_ago: float, complete: bool) -> None:
    """A study is complete after the quiet period, or at the ceiling, whatever the clock did."""
    study = Study(
        study_uid="1.2.3",
        state=StudyState.RECEIVING,
        revision=1,
        first_received_at=NOW - timedelta(seconds=first_s_ago),
        last_received_at=NOW - timedelta(seconds=last_s_ago),
    )

    assert complete == is_complete(study, now=NOW, policy=POLICY)
