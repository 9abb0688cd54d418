"""A short kill matrix: kills of receiver, worker or both while a scanner sends; the long one is in soak/."""

from pathlib import Path

from support import kill_matrix
from support.peers import needs_dcmtk

KILLS = 8

pytestmark = needs_dcmtk


def test_killed_over_and_over(tmp_path: Path) -> None:
    """Nothing acknowledged is lost, nothing reaches a PACS twice, and the audit chain is whole."""
    kill_matrix.survive(tmp_path, KILLS)
