"""Thousands of broken PDUs, FUZZ_CASES of each kind, at a live receiver and at the requestor's side."""

import gc
import logging
import os
import random
import resource
import time
from pathlib import Path

import pytest
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_requestor
from support import fuzz_pdus
from support.raw_acceptor import IMPLEMENTATION_CLASS, MAXIMUM_LENGTH, acceptance, accepting

from dicom_node.network.association_pdus import readable_answer

FUZZ_CASES = int(os.environ.get("FUZZ_CASES", "20000"))
DRAWN = FUZZ_CASES // 20
LONGEST_S = 0.5
GROWN_KB = 20_000
PROPOSED = [
    (1, ComprehensiveSRStorage, ExplicitVRLittleEndian),
    (3, ComprehensiveSRStorage, ImplicitVRLittleEndian),
]

pytestmark = pytest.mark.timeout(300 + FUZZ_CASES // 20)


@pytest.mark.parametrize(("kind", "requests"), [("requests", 1.0), ("what follows them", 0.0)])
def test_mutated_pdus(tmp_path: Path, kind: str, requests: float) -> None:
    """A-ASSOCIATE-RQ, command sets and the PDUs around them with damaged bytes and lengths harm nothing."""
    with fuzz_pdus.unharmed(tmp_path) as node:
        print(kind)
        fuzz_pdus.throw_mutated(node, FUZZ_CASES, requests=requests)


def test_drawn_pdus(tmp_path: Path) -> None:
    """PDUs that hypothesis makes up from the grammar harm nothing."""
    with fuzz_pdus.unharmed(tmp_path) as node:
        fuzz_pdus.throw_drawn(node, DRAWN)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_mutated_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged A-ASSOCIATE-AC is read or refused as a protocol violation, quickly and without leftovers."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # pytest would keep every line
    chance = random.Random(fuzz_pdus.SEED)
    proposed = [build_context(uid, syntax) for _, uid, syntax in PROPOSED]
    for number, context in enumerate(proposed):
        context.context_id = 2 * number + 1
    sound = acceptance(accepting(PROPOSED), MAXIMUM_LENGTH, IMPLEMENTATION_CLASS, *fuzz_pdus.EXTRAS)
    before_kb = peak_kb()
    gc.freeze()  # a collection of all that other tests have left is no slow decoder
    read = 0
    for _ in range(FUZZ_CASES):
        began_s = time.process_time()  # other tests run beside this one
        results = results_of(fuzz_pdus.mutated(sound, chance))
        assert time.process_time() - began_s < LONGEST_S
        if results is not None:
            assert len(negotiate_as_requestor(proposed, results)) == len(proposed)
            read += 1
    gc.unfreeze()
    assert peak_kb() - before_kb < GROWN_KB
    assert read > FUZZ_CASES / 20


def results_of(data: bytes) -> list[PresentationContext] | None:
    """Return the context results of an answer; None for one that `BoundedUpperLayer` makes a violation of."""
    answer = A_ASSOCIATE_AC()
    try:
        answer.decode(readable_answer(data))
        return list(answer.to_primitive().presentation_context_definition_results_list)
    except Exception:  # noqa: BLE001 - pynetdicom raises any type on malformed bytes
        return None


def peak_kb() -> int:
    """Return the most memory that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
