"""The pair of thresholds: as many left ventricles as possible at next to no false measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from inference.training.verdicts import Seen

DETECTOR_STEPS = np.arange(0.05, 0.51, 0.05).round(2).tolist()
"""The detector proposes, the landmark network decides: it sees finer, and knows the detector's mistakes."""
HEART_STEPS = (0.0, *np.arange(0.05, 0.96, 0.05).round(2).tolist(), 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
CERTAINTY_STEPS = np.arange(0.0, 0.98, 0.02).round(2).tolist()
HESITANT = 0.005
"""Share of left ventricles that may be given up because a border could be in two places."""
MOST_FALSE = 0.0025
"""Aim for the share of look-alikes that are measured: half of what is promised, since thresholds chosen at
the edge do better on what they were chosen by than on anything else."""
SAME_COVERAGE = 0.002
"""Coverages closer than this are equal, as chance has it."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Both thresholds, and the shares of strips that were measured with them."""

    detector: float
    heart: float
    coverage: float
    """Of left ventricles with something to measure."""
    false_measures: float
    """Of everything else."""

    @property
    def margin(self) -> float:
        """How much more is asked of the landmark network, which has been shown the detector's mistakes."""
        return self.heart - self.detector


def choose(seen: Sequence[Seen]) -> Thresholds:
    """The pair with the widest margin of those that measure next to no look-alikes and as many hearts as any.

    Raises:
        ValueError: there is no left ventricle or no look-alike to choose by.
    """
    hearts, others = [one for one in seen if one.truth], [one for one in seen if not one.is_lv]
    if not hearts or not others:
        raise ValueError("thresholds need left ventricles and look-alikes")
    pairs = [judged(hearts, others, *pair) for pair in product(DETECTOR_STEPS, HEART_STEPS)]
    most = max(MOST_FALSE, min(pair.false_measures for pair in pairs))
    allowed = [pair for pair in pairs if pair.false_measures <= most]
    best = max(pair.coverage for pair in allowed)
    equal = [pair for pair in allowed if pair.coverage >= best - SAME_COVERAGE]
    return max(equal, key=lambda pair: pair.margin)


def least_certainty(seen: Sequence[Seen], chosen: Thresholds) -> float:
    """The highest demand on certainty that costs no more than `HESITANT` of the left ventricles."""
    hearts = [one for one in seen if one.truth]
    affordable = [
        step
        for step in CERTAINTY_STEPS
        if measured_share(hearts, chosen.detector, chosen.heart, step) >= chosen.coverage - HESITANT
    ]
    return max(affordable, default=0.0)


def judged(hearts: Sequence[Seen], others: Sequence[Seen], detector: float, heart: float) -> Thresholds:
    """What one pair of thresholds would have measured."""
    return Thresholds(
        detector=detector,
        heart=heart,
        coverage=measured_share(hearts, detector, heart),
        false_measures=measured_share(others, detector, heart),
    )


def measured_share(seen: Sequence[Seen], detector: float, heart: float, certainty: float = 0.0) -> float:
    """Share of strips for which numbers would be reported; 0 of none."""
    return float(np.mean([bool(one.measured(detector, heart, certainty)) for one in seen])) if seen else 0.0
