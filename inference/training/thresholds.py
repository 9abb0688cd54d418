"""Choice of the thresholds: highest coverage of left ventricles at a bounded rate of false measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.stats import beta

from inference.training.candidates import Candidate

DETECTOR_STEPS = np.arange(0.05, 0.51, 0.05).round(2).tolist()
"""Tried detector thresholds; low, since the landmark network separates look-alikes better."""
LV_STEPS = (0.0, *np.arange(0.05, 0.96, 0.05).round(2).tolist(), 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
CERTAINTY_STEPS = np.arange(0.0, 0.98, 0.02).round(2).tolist()
MOST_COVERAGE_LOST = 0.005
"""Share of the left ventricles that the certainty threshold may refuse."""
MOST_FALSE = 0.01
"""The share of look-alikes that would be measured must lie below this with `SURE` probability: thresholds do
better on the strips they were chosen by than on others."""
SURE = 0.95
SAME_COVERAGE = 0.002
"""Coverages that differ by less are equal."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Both thresholds, and the shares of strips measured with them."""

    detector: float
    lv_probability: float
    coverage: float
    """Of left ventricles with a measurable cycle."""
    false_measures: float
    """Of all other kinds."""

    @property
    def margin(self) -> float:
        """Threshold of the landmark network minus that of the detector."""
        return self.lv_probability - self.detector


def choose(candidates: Sequence[Candidate]) -> Thresholds:
    """The pair with the widest margin among those of the highest coverage and few false measures.

    Raises:
        ValueError: there is no left ventricle or no look-alike.
    """
    lv_strips, others = [one for one in candidates if one.truth], [one for one in candidates if not one.is_lv]
    if not lv_strips or not others:
        raise ValueError("thresholds need left ventricles and look-alikes")
    pairs = [thresholds_with_shares(lv_strips, others, *pair) for pair in product(DETECTOR_STEPS, LV_STEPS)]
    most = max(most_allowed(len(others)), min(pair.false_measures for pair in pairs))
    allowed = [pair for pair in pairs if pair.false_measures <= most]
    best = max(pair.coverage for pair in allowed)
    equal = [pair for pair in allowed if pair.coverage >= best - SAME_COVERAGE]
    return max(equal, key=lambda pair: pair.margin)


def most_allowed(others: int) -> float:
    """The greatest share of `others` look-alikes whose upper bound (Clopper and Pearson) is `MOST_FALSE`."""
    counts = np.arange(others)
    bounds = beta.ppf(SURE, counts + 1, others - counts)
    return max(int((bounds <= MOST_FALSE).sum()) - 1, 0) / others


def least_certainty(candidates: Sequence[Candidate], chosen: Thresholds) -> float:
    """The highest certainty threshold that costs at most `MOST_COVERAGE_LOST`."""
    lv_strips = [one for one in candidates if one.truth]
    affordable = [
        step
        for step in CERTAINTY_STEPS
        if measured_share(lv_strips, chosen.detector, chosen.lv_probability, step)
        >= chosen.coverage - MOST_COVERAGE_LOST
    ]
    return max(affordable, default=0.0)


def thresholds_with_shares(
    lv_strips: Sequence[Candidate], others: Sequence[Candidate], detector: float, lv_probability: float
) -> Thresholds:
    """A pair of thresholds with the shares of strips that it would measure."""
    return Thresholds(
        detector=detector,
        lv_probability=lv_probability,
        coverage=measured_share(lv_strips, detector, lv_probability),
        false_measures=measured_share(others, detector, lv_probability),
    )


def measured_share(
    candidates: Sequence[Candidate], detector: float, lv_probability: float, certainty: float = 0.0
) -> float:
    """Share of the strips that would be measured; 0 without strips."""
    return (
        float(np.mean([bool(one.measured(detector, lv_probability, certainty)) for one in candidates]))
        if candidates
        else 0.0
    )
