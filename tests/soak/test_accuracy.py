"""What the shipped weights can do on phantoms they have never seen, and what they refuse."""

from itertools import islice

import pytest
from support.pace import slowness

from inference.analyse import load_model
from inference.evaluation.evaluate import Evaluation, evaluate
from inference.evaluation.figures import time_strips
from inference.evaluation.sample import Plan, Range, lv_sources
from inference.evaluation.scored_strips import EvalRuntime
from inference.phantom.lookalikes import LOOKALIKES

pytestmark = pytest.mark.timeout(900)

HEARTS = 100
EACH_LOOKALIKE = 6
TIMED = 9


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """The figures of `echonode evaluate --count 100 --lookalikes 96`, clinical range."""
    lookalikes = EACH_LOOKALIKE * len(LOOKALIKES)
    return evaluate(
        Plan(count=HEARTS, lookalikes=lookalikes, range=Range.CLINICAL), EvalRuntime(device="cpu")
    )


def test_ejection_fraction(evaluation: Evaluation) -> None:
    """EF is off by few points on average, on left ventricles of unseen seeds."""
    assert evaluation.figures.coverage.of == HEARTS
    assert evaluation.figures.agreement["EF_percent"].mae <= 2.8


@pytest.mark.parametrize(
    ("name", "most_mm"),
    [("LVIDd_cm", 1.1), ("LVIDs_cm", 1.2), ("IVSd_cm", 1.6), ("LVPWd_cm", 1.3), ("LVPWs_cm", 1.4)],
)
def test_lengths(evaluation: Evaluation, name: str, most_mm: float) -> None:
    """Each length is off by a millimetre or two on average."""
    assert 10 * evaluation.figures.agreement[name].mae <= most_mm


def test_most_left_ventricles_are_measured(evaluation: Evaluation) -> None:
    """Errors count only what was measured, so most must be."""
    measured = evaluation.figures.coverage.share

    assert measured is not None
    assert measured >= 0.93


def test_what_is_no_left_ventricle_is_refused(evaluation: Evaluation) -> None:
    """At most two look-alikes in a hundred are measured, of any kind."""
    measured = evaluation.figures.false_measures.share

    assert measured is not None
    assert measured <= 0.02


@pytest.mark.alone
def test_one_strip_is_measured_within_a_second() -> None:
    """The median strip takes under one second on the machine that `support.pace` compares with."""
    strips = [
        source()
        for source in islice(lv_sources(Plan(count=TIMED, lookalikes=0, range=Range.CLINICAL)), TIMED)
    ]
    before = slowness()

    timing = time_strips(strips, load_model("", "cpu"))

    assert timing is not None
    slow = max(before, slowness())
    print(f"{timing.median_s:.2f} s per strip, {slow:.1f} times as slow")
    assert timing.median_s < 1.0 * slow
