"""When a failed delivery is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.delivery.backoff import is_overdue, next_attempt
from dicom_node.settings.sections import DeliverySettings

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = DeliverySettings(first_retry_s=5, max_retry_s=3600, give_up_hours=96)
HOUR = timedelta(hours=1)


def wait_s(attempts: int, *, key: str = "pacs/1.2.3", policy: DeliverySettings = POLICY) -> float:
    """Return the wait after that many failures."""
    at = next_attempt(attempts=attempts, waiting_since=NOW, now=NOW, policy=policy, key=key)

    assert at is not None
    return (at - NOW).total_seconds()


@pytest.mark.parametrize(
    ("attempts", "longest_s"),
    [
        (1, 5),  # 5 * 2**0
        (2, 10),  # 5 * 2**1
        (5, 80),  # 5 * 2**4
        (10, 2560),  # 5 * 2**9
        (11, 3600),  # 5 * 2**10 = 5120, capped
    ],
)
def test_doubles_up_to_the_cap(attempts: int, longest_s: float) -> None:
    """The wait doubles with each failure, less at most a fifth, and never exceeds the cap."""
    assert 0.8 * longest_s <= wait_s(attempts) <= longest_s


@pytest.mark.parametrize(
    ("waited", "attempts", "gives_up"),
    [
        (95.9 * HOUR, 200, False),  # not yet
        (96 * HOUR, 96, True),  # 96 h, and 96 waits of an hour
        (96 * HOUR, 95, False),  # the node was off meanwhile, or the clock jumped ahead
        (8000 * HOUR, 1, False),  # by a year
        (-1 * HOUR, 200, False),  # the clock was set back by an hour
        (-8000 * HOUR, 96, True),  # the wait began in the future: it must end nevertheless
    ],
)
def test_gives_up_after_time_and_attempts(waited: timedelta, attempts: int, gives_up: bool) -> None:
    """There is no next time when both the hours and the attempts that fit into them are over."""
    since = NOW - waited

    at = next_attempt(attempts=attempts, waiting_since=since, now=NOW, policy=POLICY, key="k")

    assert (at is None) is gives_up


def test_all_waits_together_last_for_the_hours() -> None:
    """However the jitter falls, the attempts before giving up span at least 72 h with the defaults."""
    now, attempts = NOW, 1
    while at := next_attempt(
        attempts=attempts, waiting_since=NOW, now=now, policy=DeliverySettings(), key="k"
    ):
        now, attempts = at, attempts + 1

    assert timedelta(hours=72) <= now - NOW <= timedelta(hours=98)


def test_overdue_is_a_matter_of_hours_alone() -> None:
    """What was taken and never confirmed is given up by the clock."""
    assert is_overdue(waiting_since=NOW - 96 * HOUR, now=NOW, policy=POLICY)
    assert not is_overdue(waiting_since=NOW - 95 * HOUR, now=NOW, policy=POLICY)


def test_same_record_same_answer() -> None:
    """The jitter depends on the record and the attempt only."""
    assert wait_s(3) == wait_s(3)


def test_what_failed_together_does_not_return_together() -> None:
    """Fifty deliveries that fail at once spread over at least a tenth of the wait."""
    waits = [wait_s(6, key=f"pacs/1.2.{number}") for number in range(50)]

    assert max(waits) - min(waits) > 0.1 * max(waits)


def test_a_thousand_attempts_do_not_overflow() -> None:
    """However patient the settings are, the wait stays at the cap."""
    assert 2880 <= wait_s(999) <= 3600
