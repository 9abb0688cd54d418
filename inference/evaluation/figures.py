"""All figures of one evaluation, computed from the scored strips."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from inference.analyse import Model, analyse_strip
from inference.evaluation.agreement import (
    QUANTITIES,
    Agreement,
    Pairs,
    Rate,
    agreement,
    interval_reliability,
    pairs,
)
from inference.evaluation.detection import (
    ProbabilityBin,
    average_precision,
    best_box_hits,
    matched_boxes,
    probability_reliability,
)
from inference.evaluation.scored_strips import ScoredStrip
from inference.labelled import LabelledStrip

MOST_TIMED = 20


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds from gray pixels to values for one strip at a time on all cores."""

    median_s: float
    p95_s: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Accuracy on a set of strips; None where the strips do not define a figure."""

    average_precision: float | None
    """Of cycle boxes at IoU 0.5, over all boxes of all strips."""
    best_box: Rate
    """Left ventricles whose most probable box is a true cycle."""
    coverage: Rate
    """Left ventricles that were measured."""
    refusals: Mapping[str, int]
    """Count per reason of the other left ventricles."""
    false_measures: Rate
    """Strips of other kinds that were measured."""
    false_measures_by_kind: Mapping[str, Rate]
    compared: Mapping[str, Pairs]
    agreement: Mapping[str, Agreement]
    interval_reliability: Mapping[str, Sequence[float]]
    probability_reliability: Sequence[ProbabilityBin]


def figures(scored: Sequence[ScoredStrip]) -> Figures:
    """All figures of these strips."""
    lv_strips = [one for one in scored if one.is_lv]
    others = [one for one in scored if not one.is_lv]
    boxes = matched_boxes(scored)
    compared = {name: pairs(lv_strips, name) for name in QUANTITIES}
    return Figures(
        average_precision=average_precision(boxes),
        best_box=Rate(hits=sum(map(best_box_hits, lv_strips)), of=len(lv_strips)),
        coverage=measured_rate(lv_strips),
        refusals=refusals(lv_strips),
        false_measures=measured_rate(others),
        false_measures_by_kind={
            kind: measured_rate([one for one in others if one.kind == kind])
            for kind in dict.fromkeys(one.kind for one in others)
        },
        compared=compared,
        agreement=agreements(compared),
        interval_reliability=interval_reliability(compared),
        probability_reliability=probability_reliability(boxes),
    )


def agreements(compared: Mapping[str, Pairs]) -> dict[str, Agreement]:
    """Errors of every quantity of which there are pairs."""
    found = {name: agreement(one) for name, one in compared.items()}
    return {name: one for name, one in found.items() if one is not None}


def measured_rate(scored: Sequence[ScoredStrip]) -> Rate:
    """Share of the strips that were measured."""
    return Rate(hits=sum(one.result.measured for one in scored), of=len(scored))


def refusals(scored: Sequence[ScoredStrip]) -> dict[str, int]:
    """Count per reason of the strips that were not measured, most frequent first."""
    return dict(Counter(one.result.reason or "" for one in scored if not one.result.measured).most_common())


def time_strips(strips: Sequence[LabelledStrip], model: Model) -> Timing | None:
    """Time each strip alone, after one run to warm up; None without strips."""
    if not strips:
        return None
    analyse_strip(strips[0].strip, model)
    seconds = [seconds_for(strip, model) for strip in strips]
    return Timing(
        median_s=float(np.median(seconds)), p95_s=float(np.percentile(seconds, 95)), count=len(seconds)
    )


def seconds_for(strip: LabelledStrip, model: Model) -> float:
    """Seconds from gray pixels to values."""
    start = perf_counter()
    analyse_strip(strip.strip, model)
    return perf_counter() - start
