"""What the shipped weights can do on phantoms they have never seen, and what they refuse."""

import pytest

from inference.evaluation.evaluate import Evaluation, evaluate
from inference.evaluation.judged import Machine
from inference.evaluation.sample import Plan, Range
from inference.phantom.lookalikes import LOOKALIKES

pytestmark = pytest.mark.timeout(900)

HEARTS = 120
EACH_LOOKALIKE = 15


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """The figures of `echonode evaluate --count 120 --range full` and fifteen of each other kind."""
    lookalikes = EACH_LOOKALIKE * len(LOOKALIKES)
    return evaluate(Plan(count=HEARTS, lookalikes=lookalikes, range=Range.FULL), Machine(device="cpu"))


def test_ejection_fraction(evaluation: Evaluation) -> None:
    """EF is off by at most 8 points on average, on left ventricles of unseen seeds."""
    assert evaluation.figures.coverage.of == HEARTS
    assert evaluation.figures.agreement["EF_percent"].mae <= 8.0


def test_diastolic_diameter(evaluation: Evaluation) -> None:
    """LVIDd is off by at most 3 mm on average."""
    assert evaluation.figures.agreement["LVIDd_cm"].mae <= 0.3


def test_most_left_ventricles_are_measured(evaluation: Evaluation) -> None:
    """Errors count only what was measured, so nearly all must be."""
    measured = evaluation.figures.coverage.share

    assert measured is not None
    assert measured >= 0.9


@pytest.mark.parametrize("kind", ["TAPSE", "aorta"])
def test_what_is_no_left_ventricle_is_refused(evaluation: Evaluation, kind: str) -> None:
    """A TAPSE or aortic phantom is refused at least nine times in ten."""
    measured = evaluation.figures.false_measures_by_kind[kind].share

    assert measured is not None
    assert measured <= 0.1


def test_one_strip_is_measured_within_a_second(evaluation: Evaluation) -> None:
    """The median strip takes under one second on this machine."""
    assert evaluation.timing is not None
    assert evaluation.timing.median_s < 1.0
