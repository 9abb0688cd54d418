"""The times of retries: exponential backoff with a limit."""

import zlib
from datetime import datetime, timedelta

from dicom_node.settings.sections import DeliverySettings

_JITTER = 0.2
_MOST_DOUBLINGS = 40


def next_attempt(
    *, attempts: int, waiting_since: datetime, now: datetime, policy: DeliverySettings, key: str
) -> datetime | None:
    """Return when to try again after `attempts` failures (at least 1); None to give up.

    The wait doubles from `first_retry_s` up to `max_retry_s`: 5, 10, 20 … 3600 s with the defaults.
    Up to a fifth is subtracted, so that objects that failed together are not all retried together; the
    share is a hash of `key` and `attempts`.

    Giving up needs both `give_up_hours` of waiting and as many attempts as `max_retry_s` fits into that
    time, so that neither a clock set forward nor a node switched off for a week makes it give up.
    """
    fewest = timedelta(hours=policy.give_up_hours) / timedelta(seconds=policy.max_retry_s)
    if attempts >= fewest and is_overdue(waiting_since=waiting_since, now=now, policy=policy):
        return None
    doublings = min(attempts - 1, _MOST_DOUBLINGS)
    wait_s = min(policy.first_retry_s * 2**doublings, policy.max_retry_s)
    share = zlib.crc32(f"{key}#{attempts}".encode()) / 2**32
    return now + timedelta(seconds=wait_s * (1 - _JITTER * share))


def is_overdue(*, waiting_since: datetime, now: datetime, policy: DeliverySettings) -> bool:
    """Tell whether something has waited for `give_up_hours`."""
    # abs(): after the clock was set back, `waiting_since` may be in the future.
    return abs(now - waiting_since) >= timedelta(hours=policy.give_up_hours)
