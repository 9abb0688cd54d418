"""Plausibility and agreement: which cycles may be believed, and why not the others.

Limits are those of any living heart from a small child to a giant failing one, not of health: an
ill heart is measured, an impossible one is refused.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.errors import Implausible, LowAgreement
from inference.types import LENGTHS, CycleMeasurement, Landmarks

WALL_CM = (0.15, 4.0)
CAVITY_CM = (0.5, 10.0)
RR_S = (0.25, 2.5)
SYSTOLE_SHARE = (0.12, 0.70)
"""End systole follows end diastole by this share of the beat."""
AGREE_LVIDd = 0.12
AGREE_EF_POINTS = 12.0
GAP_GRAY = 8
GAP_PX = 3


def check_cycle(landmarks: Landmarks, lengths_cm: dict[str, float], *, rr_s: float, s_per_px: float) -> None:
    """Passes a possible heart beat.

    Raises:
        Implausible: a length, the beat's duration or the order of its phases is impossible.
    """
    for name in LENGTHS:
        low, high = CAVITY_CM if name.startswith("LVID") else WALL_CM
        _between(name, lengths_cm[name], low, high)
    if lengths_cm["LVIDs_cm"] >= lengths_cm["LVIDd_cm"]:
        raise Implausible("the cavity does not narrow in systole")
    _between("RR_s", rr_s, *RR_S)
    delay_px = float(np.mean(landmarks.systole, axis=0)[0] - np.mean(landmarks.diastole, axis=0)[0])
    _between("share of the beat from end diastole to end systole", delay_px * s_per_px / rr_s, *SYSTOLE_SHARE)


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise Implausible(f"{name} {value:.2f} is not within {low}…{high}")


def agreeing(cycles: Sequence[CycleMeasurement]) -> tuple[int, ...]:
    """Indices of the cycles that agree with the median of all; at least one.

    Raises:
        LowAgreement: fewer than half of the cycles agree.
    """
    LVIDd = np.array([cycle.values["LVIDd_cm"] for cycle in cycles])
    EF = np.array([cycle.values["EF_percent"] for cycle in cycles])
    middle_LVIDd, middle_EF = np.median(LVIDd), np.median(EF)
    near = (np.abs(LVIDd / middle_LVIDd - 1) <= AGREE_LVIDd) & (np.abs(EF - middle_EF) <= AGREE_EF_POINTS)
    if 2 * near.sum() < len(cycles) or not near.any():
        raise LowAgreement(
            f"{near.sum()} of {len(cycles)} cycles agree: EF " + ", ".join(f"{e:.0f}" for e in EF)
        )
    return tuple(int(i) for i in np.flatnonzero(near))


def crosses_gap(pixels: NDArray[np.uint8], x0_px: float, x1_px: float) -> bool:
    """True when the black sweep bar, where new overwrites old, stands between two columns of a strip."""
    inside = pixels[:, max(0, round(x0_px)) : max(0, round(x1_px)) + 1]
    if inside.shape[1] < GAP_PX:
        return False
    dark = (inside.max(axis=0) <= GAP_GRAY).astype(np.int64)
    return bool(np.convolve(dark, np.ones(GAP_PX, np.int64), mode="valid").max() == GAP_PX)
