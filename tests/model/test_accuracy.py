"""What the shipped weights can do on phantoms they have never seen, and what they refuse."""

from collections.abc import Mapping
from typing import Any

import pytest

from inference.analyse import load_model
from inference.training.evaluate import evaluate

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def report() -> Mapping[str, Any]:
    """The figures of `echonode evaluate --count 200 --lookalikes 30`."""
    return evaluate(load_model(device="cpu"), count=200, lookalikes=30)


def test_ejection_fraction(report: Mapping[str, Any]) -> None:
    """EF is off by at most 8 points on average, on 200 left ventricles of unseen seeds."""
    assert report["left_ventricles"]["count"] == 200
    assert report["left_ventricles"]["values"]["EF_percent"]["mae"] <= 8.0


def test_diastolic_diameter(report: Mapping[str, Any]) -> None:
    """LVIDd is off by at most 3 mm on average."""
    assert report["left_ventricles"]["values"]["LVIDd_cm"]["mae"] <= 0.3


def test_most_left_ventricles_are_measured(report: Mapping[str, Any]) -> None:
    """Errors count only what was measured, so nearly all must be."""
    assert report["left_ventricles"]["coverage"] >= 0.9


@pytest.mark.parametrize("kind", ["TAPSE", "aorta"])
def test_what_is_no_left_ventricle_is_refused(report: Mapping[str, Any], kind: str) -> None:
    """A TAPSE or aortic phantom is refused at least nine times in ten."""
    assert report["refused"][kind] >= 0.9


def test_one_strip_is_measured_within_a_second(report: Mapping[str, Any]) -> None:
    """The median strip takes under one second on this machine."""
    assert report["left_ventricles"]["seconds_per_strip"] < 1.0
