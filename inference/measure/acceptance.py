"""Rules that decide which located cycles of a strip are measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.errors import Implausible, LowAgreement, NoCycle
from inference.measure.clinical_limits import ANY_HEART, Limits
from inference.measure.formulas import derived, doubt_cm, lengths_cm, measure
from inference.measure.plausibility import check_cycle, check_inside, check_spread
from inference.types import CycleBox, CycleMeasurement, LandmarkSamples, MModeStrip, as_landmarks

LEAST_PROBABILITY = 1e-6
"""Probabilities are clipped to this and to 1 minus this before taking log odds."""
LEAST_SHARE_OF_BEST = 0.5
"""Least detector probability of a measured cycle, as a share of the strip's highest one."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """A detected cycle with its landmarks, not yet checked."""

    box: CycleBox
    samples: LandmarkSamples


def pooled_probability(probabilities: Sequence[float]) -> float:
    """The probability whose log odds are the mean of those of `probabilities`; 0 if empty."""
    if not probabilities:
        return 0.0
    p = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return float(1 / (1 + np.exp(-np.mean(np.log(p / (1 - p))))))


def selected(cycles: Sequence[tuple[float, float]], lv_threshold: float) -> list[int]:
    """Indices of the cycles that both networks accept; each is (detector probability, lv_probability).

    All cycles of a strip show the same structure, so the strip is refused as a whole unless the pooled
    lv_probability reaches `lv_threshold`. Of an accepted strip, a cycle is dropped if its own
    lv_probability is below `lv_threshold`, or its detector probability below `LEAST_SHARE_OF_BEST` of the
    highest.
    """
    if pooled_probability([lv_probability for _, lv_probability in cycles]) < lv_threshold:
        return []
    best = max((probability for probability, _ in cycles), default=0.0)
    return [
        i
        for i, (probability, lv_probability) in enumerate(cycles)
        if probability >= LEAST_SHARE_OF_BEST * best and lv_probability >= lv_threshold
    ]


def left_ventricles(located: Sequence[Located], lv_threshold: float) -> list[Located]:
    """The cycles that both networks take for a left ventricle's, see `selected`.

    Raises:
        NoCycle: none is.
    """
    scores = [(one.box.probability, one.samples.mean_lv_probability) for one in located]
    lv_cycles = [located[i] for i in selected(scores, lv_threshold)]
    if not lv_cycles:
        pooled = pooled_probability([lv_probability for _, lv_probability in scores])
        raise NoCycle(
            f"cycle of probability {max(scores)[0]:.2f}, but of a left ventricle "
            f"{pooled:.2f}, needed {lv_threshold:.2f} together and alone"
        )
    return lv_cycles


def confident(located: Sequence[Located], least_certainty: float) -> list[Located]:
    """The cycles whose least certain landmark reaches `least_certainty`.

    Raises:
        LowAgreement: no cycle does.
    """
    sure = [one for one in located if one.samples.mean_certainty >= least_certainty]
    if not sure:
        best = max(one.samples.mean_certainty for one in located)
        raise LowAgreement(
            f"a border could be in two places: certainty {best:.2f}, needed {least_certainty:.2f}"
        )
    return sure


def plausible(
    strip: MModeStrip, located: Sequence[Located], limits: Limits = ANY_HEART
) -> list[CycleMeasurement]:
    """Measurements of the physiologically possible cycles, in order of time.

    Raises:
        Implausible, LowAgreement: none is possible; the error of the first cycle is raised.
    """
    kept, complaints = [], []
    for one in located:
        try:
            kept.append(measured_cycle(strip, one, limits))
        except (Implausible, LowAgreement) as error:
            complaints.append(error)
    if not kept:
        raise complaints[0]
    return sorted(kept, key=lambda cycle: cycle.box.x0)


def measured_cycle(strip: MModeStrip, one: Located, limits: Limits = ANY_HEART) -> CycleMeasurement:
    """Values of one cycle from its mean landmarks, with their spread and doubt over the crops.

    Raises:
        Implausible, LowAgreement: a rule of `plausibility` refuses it.
    """
    calibration, landmarks = strip.region.calibration, one.samples.mean
    rr_s = (one.box.x1 - one.box.x0) * calibration.s_per_px_x
    lengths = lengths_cm(landmarks, calibration)
    check_inside(landmarks, one.box)
    check_cycle(landmarks, lengths, rr_s=rr_s, s_per_px=calibration.s_per_px_x, limits=limits)
    values = {**lengths, **derived(lengths, rr_s=rr_s)}
    each = [measure(as_landmarks(points), calibration, rr_s=rr_s) for points in one.samples.points_px]
    spread = {name: float(np.std([crop[name] for crop in each])) for name in values}
    check_spread(spread, lengths, limits)
    return CycleMeasurement(
        box=one.box,
        landmarks=landmarks,
        values=values,
        spread=spread,
        doubt=doubt_cm(one.samples.doubt_px.mean(axis=0), calibration),
    )
