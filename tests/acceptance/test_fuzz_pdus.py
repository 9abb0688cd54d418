"""Some hundred broken PDUs; the thousands are in soak/."""

from pathlib import Path

from support import fuzz_pdus

MUTATED, DRAWN = 400, 100


def test_mutated_pdus(tmp_path: Path) -> None:
    """PDUs with damaged bytes, lengths and order harm nothing."""
    with fuzz_pdus.unharmed(tmp_path) as node:
        fuzz_pdus.throw_mutated(node, MUTATED)


def test_drawn_pdus(tmp_path: Path) -> None:
    """PDUs that hypothesis makes up from the grammar harm nothing."""
    with fuzz_pdus.unharmed(tmp_path) as node:
        fuzz_pdus.throw_drawn(node, DRAWN)
