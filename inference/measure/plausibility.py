"""Checks of single cycles against `clinical_limits`, and agreement between the cycles of a strip."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.errors import Implausible, LowAgreement
from inference.measure.clinical_limits import ANY_HEART, Bounds, Limits
from inference.types import LENGTHS, CycleBox, CycleMeasurement, Landmarks

COUNTED_TWICE = (0.5, 2.0)
"""Factors by which a device's rate may be wrong: it misses every other R wave, or counts T waves as
beats. The measured rate is compared with HeartRate times these."""
COUNTED_TWICE_WITHIN = 1.15
"""Greatest ratio between the measured rate and such a multiple, either way."""
WALLS = tuple(name for name in LENGTHS if not name.startswith("LVID"))
GAP_GRAY = 8
"""Columns with no brighter pixel are black."""
GAP_PX = 3
"""Widest distance between two shown columns that is no sweep gap."""
FRAME_SHARE = 0.08
"""Share of a cycle's columns that may be black at its ends, as the frame of the strip."""


def check_cycle(
    landmarks: Landmarks,
    lengths_cm: Mapping[str, float],
    *,
    rr_s: float,
    s_per_px: float,
    limits: Limits = ANY_HEART,
) -> None:
    """Check one cycle against the limits.

    Raises:
        Implausible: names the border order, length, duration or motion that is out of its range.
    """
    check_order(landmarks)
    for name in LENGTHS:
        _between(name, lengths_cm[name], getattr(limits, name))
    _between("RR_s", rr_s, limits.RR_s)
    delay_s = (_column_px(landmarks.systole) - _column_px(landmarks.diastole)) * s_per_px
    _between("share of the beat from end diastole to end systole", delay_s / rr_s, limits.systole_share)
    check_motion(landmarks, lengths_cm, limits)


def check_order(landmarks: Landmarks) -> None:
    """Check that the four borders follow each other from top to bottom in both phases.

    Raises:
        Implausible: two borders meet or are swapped.
    """
    for phase, points in (("diastole", landmarks.diastole), ("systole", landmarks.systole)):
        depths_px = [y for _, y in points]
        if not np.all(np.diff(depths_px) > 0):
            raise Implausible(f"the borders are out of order in {phase}")


def check_motion(landmarks: Landmarks, lengths_cm: Mapping[str, float], limits: Limits = ANY_HEART) -> None:
    """Check that the cavity narrows, the walls do not thin, and both walls take part.

    Refuses what is between two walls that move in parallel, such as the aortic root or the left atrium.

    Raises:
        Implausible: names the ratio that is out of its range.
    """
    d, s = lengths_cm["LVIDd_cm"], lengths_cm["LVIDs_cm"]
    if s >= d:
        raise Implausible("the cavity does not narrow in systole")
    _between("FS_percent", 100 * (d - s) / d, limits.FS_percent)
    walls = [lengths_cm[f"IVS{phase}_cm"] + lengths_cm[f"LVPW{phase}_cm"] for phase in "ds"]
    _between("thickness of both walls in systole over diastole", walls[1] / walls[0], limits.thickening)
    forward_px = landmarks.diastole[2][1] - landmarks.systole[2][1]
    narrowing_px = (landmarks.diastole[2][1] - landmarks.diastole[1][1]) * (1 - s / d)
    share = forward_px / narrowing_px
    _between("share of the posterior wall in the narrowing", share, limits.posterior_share)


def check_inside(landmarks: Landmarks, box: CycleBox) -> None:
    """Check that end diastole and end systole lie inside the cycle's box.

    Raises:
        Implausible: one of them does not.
    """
    for phase, points in (("end diastole", landmarks.diastole), ("end systole", landmarks.systole)):
        if not box.x0 < _column_px(points) < box.x1:
            raise Implausible(f"{phase} lies outside its cycle")


def check_spread(
    spread: Mapping[str, float], lengths_cm: Mapping[str, float], limits: Limits = ANY_HEART
) -> None:
    """Check that the test-time crops agree on the lengths.

    Raises:
        LowAgreement: the standard deviation of a length is above its limit.
    """
    size_cm = lengths_cm["IVSd_cm"] + lengths_cm["LVIDd_cm"] + lengths_cm["LVPWd_cm"]
    worst = max(LENGTHS, key=lambda name: spread[name])
    if spread[worst] > limits.spread_share * size_cm:
        raise LowAgreement(f"{worst} differs by {spread[worst]:.2f} cm from crop to crop")


def check_rate(
    cycles: Sequence[CycleMeasurement], heart_rate_bpm: float | None, limits: Limits = ANY_HEART
) -> None:
    """Check the measured rate against HeartRate of the data set, if there is one.

    HeartRate may be of one beat or an average, so the median rate or that of any cycle may match it, and
    the median rate may match half or twice of it (see `COUNTED_TWICE`).

    Raises:
        Implausible: none matches.
    """
    if heart_rate_bpm is None:
        return
    rates = [cycle.values["HR_bpm"] for cycle in cycles]
    found = [float(np.median(rates)), *rates]
    alike = any(_alike(rate, heart_rate_bpm, limits.rate_factor) for rate in found)
    twice = any(_alike(found[0], times * heart_rate_bpm, COUNTED_TWICE_WITHIN) for times in COUNTED_TWICE)
    if not alike and not twice:
        raise Implausible(
            f"HR_bpm {found[0]:.0f} contradicts the HeartRate {heart_rate_bpm:.0f} of the image"
        )


def _alike(one: float, other: float, factor: float) -> bool:
    return 1 / factor <= one / other <= factor


def _between(name: str, value: float, limits: Bounds) -> None:
    low, high = limits
    if not low <= value <= high:
        raise Implausible(f"{name} {value:.2f} is not within {low:.2f}…{high:.2f}")


def _column_px(points: Sequence[tuple[float, float]]) -> float:
    return float(np.mean([x for x, _ in points]))


def agreeing(cycles: Sequence[CycleMeasurement], limits: Limits = ANY_HEART) -> tuple[int, ...]:
    """Indices of the cycles near the median in RR, LVIDd, EF and wall thickness; at least one.

    Raises:
        LowAgreement: fewer than half of the cycles of the main rhythm agree in LVIDd and EF.
    """
    regular = in_rhythm(cycles, limits)
    LVIDd = np.array([cycle.values["LVIDd_cm"] for cycle in cycles])
    EF = np.array([cycle.values["EF_percent"] for cycle in cycles])
    near_LVIDd = off_median(LVIDd, regular) <= limits.agree_LVIDd
    near_EF = np.abs(EF - np.median(EF[regular])) <= limits.agree_EF_points
    near = regular & near_LVIDd & near_EF
    if 2 * near.sum() < regular.sum() or not near.any():
        raise LowAgreement(
            f"{near.sum()} of {regular.sum()} cycles agree: EF " + ", ".join(f"{e:.0f}" for e in EF[regular])
        )
    return tuple(int(i) for i in np.flatnonzero(with_like_walls(cycles, near, limits)))


def with_like_walls(
    cycles: Sequence[CycleMeasurement], kept: NDArray[np.bool_], limits: Limits
) -> NDArray[np.bool_]:
    """The cycles of `kept` with all four walls near their median; `kept` itself if there is none.

    A wrong border in a single cycle changes a wall by a large share, LVIDd and EF by a small one.
    """
    walls_cm = np.array([[cycle.values[name] for name in WALLS] for cycle in cycles])
    near = kept & (off_median(walls_cm, kept) <= limits.agree_wall).all(axis=1)
    return near if near.any() else kept


def off_median(values: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Deviation of each cycle (first axis) from the median of those `among`, as a share of it."""
    return np.asarray(np.abs(values / np.median(values[among], axis=0) - 1))


def in_rhythm(cycles: Sequence[CycleMeasurement], limits: Limits = ANY_HEART) -> NDArray[np.bool_]:
    """Mask of the cycles with a regular RR; all cycles unless most are regular.

    This leaves out premature beats and the pauses after them in sinus rhythm, but averages over all beats
    in atrial fibrillation.
    """
    RR_s = np.array([60.0 / cycle.values["HR_bpm"] for cycle in cycles])
    everyone = np.ones(len(cycles), dtype=np.bool_)
    regular = off_median(RR_s, everyone) <= limits.regular_RR
    return regular if 2 * regular.sum() > len(cycles) else everyone


def crosses_gap(pixels: NDArray[np.uint8], x0_px: float, x1_px: float) -> bool:
    """True if the black sweep gap lies between columns `x0_px` and `x1_px` of a strip.

    Up to `FRAME_SHARE` of black columns at the ends is the frame of the strip; more is where the sweep has
    not been.
    """
    inside = pixels[:, max(0, round(x0_px)) : max(0, round(x1_px)) + 1]
    shown = np.flatnonzero(inside.max(axis=0) > GAP_GRAY)
    if not len(shown):
        return False
    beside = inside.shape[1] - (int(shown[-1]) - int(shown[0]) + 1)
    return int(np.diff(shown).max(initial=0)) > GAP_PX or beside > FRAME_SHARE * inside.shape[1]
