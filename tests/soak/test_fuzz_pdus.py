"""Thousands of broken PDUs: FUZZ_CASES of them."""

import os
from pathlib import Path

import pytest
from support import fuzz_pdus

FUZZ_CASES = int(os.environ.get("FUZZ_CASES", "10000"))
MUTATED, DRAWN = FUZZ_CASES * 9 // 10, FUZZ_CASES // 10

pytestmark = pytest.mark.timeout(300 + FUZZ_CASES // 20)


def test_mutated_pdus(tmp_path: Path) -> None:
    """PDUs with damaged bytes, lengths and order harm nothing."""
    with fuzz_pdus.unharmed(tmp_path) as node:
        fuzz_pdus.throw_mutated(node, MUTATED)


def test_drawn_pdus(tmp_path: Path) -> None:
    """PDUs that hypothesis makes up from the grammar harm nothing."""
    with fuzz_pdus.unharmed(tmp_path) as node:
        fuzz_pdus.throw_drawn(node, DRAWN)
