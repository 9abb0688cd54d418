"""When a failed delivery is tried again."""

from datetime import UTC, datetime

import pytest

from dicom_node.retry import next_attempt
from dicom_node.settings import Delivery as Policy

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = Policy(max_attempts=12, first_retry_s=5, max_retry_s=3600)


def wait_s(attempts: int, *, key: str = "pacs/1.2.3", policy: Policy = POLICY) -> float:
    """Return the wait after that many failures."""
    at = next_attempt(attempts=attempts, now=NOW, policy=policy, key=key)

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


def test_gives_up_at_the_last_attempt() -> None:
    """After max_attempts failures there is no next time."""
    assert next_attempt(attempts=12, now=NOW, policy=POLICY, key="k") is None


def test_same_record_same_answer() -> None:
    """The jitter depends on the record and the attempt only."""
    assert wait_s(3) == wait_s(3)


def test_what_failed_together_does_not_return_together() -> None:
    """Fifty deliveries that fail at once spread over at least a tenth of the wait."""
    waits = [wait_s(6, key=f"pacs/1.2.{number}") for number in range(50)]

    assert max(waits) - min(waits) > 0.1 * max(waits)


def test_a_thousand_attempts_do_not_overflow() -> None:
    """However patient the settings are, the wait stays at the cap."""
    patient = Policy(max_attempts=1000, first_retry_s=5, max_retry_s=3600)

    assert 2880 <= wait_s(999, policy=patient) <= 3600
