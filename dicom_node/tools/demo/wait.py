"""Waiting for a condition that another process fulfils."""

import time
from collections.abc import Callable

from dicom_node.errors import NodeError


class DemoTimeout(NodeError):
    """A step of the demo failed or was not finished in time."""


def wait_for(condition: Callable[[], bool], limit_s: float, message: str) -> None:
    """Wait until `condition` holds.

    Raises:
        DemoTimeout: it does not hold within `limit_s`; its text is `message` and the limit.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise DemoTimeout(f"{message} within {limit_s:.0f} s")
        time.sleep(0.1)
