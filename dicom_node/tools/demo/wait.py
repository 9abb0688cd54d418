"""Waiting for something that happens in another process."""

import time
from collections.abc import Callable

from dicom_node.errors import NodeError


class Impatient(NodeError):
    """Something that had to happen did not happen in time."""


def wait_for(condition: Callable[[], bool], limit_s: float, complaint: str) -> None:
    """Returns once `condition` holds.

    Raises:
        Impatient: it did not hold within `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise Impatient(f"{complaint} within {limit_s:.0f} s")
        time.sleep(0.1)
