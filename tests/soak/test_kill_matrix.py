"""The long kill matrix: KILLS kills of receiver, worker or both while a scanner sends."""

import os
from pathlib import Path

import pytest
from support import kill_matrix
from support.peers import needs_dcmtk

KILLS = int(os.environ.get("KILLS", "200"))

pytestmark = [needs_dcmtk, pytest.mark.timeout(600 + 3 * KILLS)]


def test_killed_over_and_over(tmp_path: Path) -> None:
    """Nothing acknowledged is lost, nothing reaches a PACS twice, and the audit chain is whole."""
    kill_matrix.survive(tmp_path, KILLS)
