"""Real programs of others that the tests talk to: DCMTK, Orthanc, validators."""

import os
import shutil
from typing import NoReturn

import pytest

needs_dcmtk = pytest.mark.usefixtures("dcmtk")


def require(*programs: str) -> None:
    """Skip the calling test and say why where a program is missing; with REQUIRE_PEERS, as in CI, fail it."""
    gone = [name for name in programs if shutil.which(name) is None]
    if gone:
        missing(f"not installed: {', '.join(gone)}")


def missing(what: str) -> NoReturn:
    """Skip or fail the calling test for want of something that CI has."""
    if "REQUIRE_PEERS" in os.environ:
        pytest.fail(what)
    pytest.skip(what)
