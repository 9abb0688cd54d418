"""From wall masks to wall curves, and from wall curves to cycles with landmarks."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, gaussian_filter1d, label, median_filter
from scipy.signal import find_peaks

from inference.labelled import CycleTruth
from inference.phantom.strip import WALL_MARGIN
from inference.phantom.ventricle import CYCLE_LEAD
from inference.training.imports.masks import Mask
from inference.types import Calibration, as_landmarks

Walls = NDArray[np.float32]
"""(4, width) depth in strip pixels of septum outer, inner, posterior wall inner, outer; NaN unknown."""

SLIT_PX = 4
"""Gaps of a mask up to this many columns are bridged."""
SPECK_SHARE = 0.05
"""Pieces smaller than this share of the mask are dropped."""
SMOOTHING_S = 0.02
"""Sigma of the Gaussian that smooths the distance of the walls before its extremes are found."""
LEAST_RR_S, MOST_RR_S = 0.3, 2.5
LEAST_PROMINENCE = 0.3
"""Least prominence of an end diastole, as a share of the range of the distance."""
PLATEAU_PX = 0.25
"""Distances that differ by less are equal, since a mask ends at whole pixels."""
SYSTOLE = (0.15, 0.65)
"""End systole is the minimum between these shares of the beat after end diastole."""


def wall_curves(septum: Mask, posterior_wall: Mask) -> Walls:
    """Upper and lower edge of both masks at every column; NaN where one is missing or they cross."""
    curves = np.stack([*_edges(septum), *_edges(posterior_wall)])
    with np.errstate(invalid="ignore"):
        ordered = (np.diff(curves, axis=0) > 0).all(axis=0)
    curves[:, ~ordered] = np.nan
    return curves.astype(np.float32)


def _edges(mask: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outer edges of the first and of the last pixel of each column, without gaps and specks."""
    pieces, count = label(mask, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    keep = sizes >= SPECK_SHARE * sizes[1:].sum()
    keep[0] = False
    kept = keep[pieces]
    known = kept.any(axis=0)
    top = np.where(known, kept.argmax(axis=0) - 0.5, np.nan)
    bottom = np.where(known, len(kept) - kept[::-1].argmax(axis=0) - 0.5, np.nan)
    return _mended(top), _mended(bottom)


def _mended(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bridge short gaps and remove outliers of a single column."""
    columns, known = np.arange(len(edge)), np.isfinite(edge)
    if not known.any():
        return edge
    bridged = np.interp(columns, columns[known], edge[known])
    slit = binary_closing(np.pad(known, SLIT_PX), np.ones(SLIT_PX + 1, dtype=bool))[SLIT_PX:-SLIT_PX]
    return np.where(slit, median_filter(bridged, 3, mode="nearest"), np.nan)


def cycles_of(walls: Walls, calibration: Calibration, height: int) -> list[CycleTruth]:
    """Every beat with box, end diastole, end systole and the next end diastole on the strip."""
    found = []
    known: Mask = np.asarray(np.isfinite(walls).all(axis=0))
    for start, stop in _stretches(known):
        part = walls[:, start:stop]
        distance = _distance(part, calibration.s_per_px_x)
        for diastole, following in pairwise(_diastoles(distance, calibration.s_per_px_x)):
            rr_px = float(following - diastole)
            left = diastole - CYCLE_LEAD * rr_px
            whole = left >= 0 and left + rr_px <= stop - start - 1
            if whole and rr_px * calibration.s_per_px_x <= MOST_RR_S:
                first, last = (diastole + round(share * rr_px) for share in SYSTOLE)
                systole = first + int(np.argmin(distance[first : last + 1]))
                found.append(_cycle(part, (diastole, systole), (left, left + rr_px), start, height))
    return found


def _stretches(known: Mask) -> Iterator[tuple[int, int]]:
    """[start, stop) of every run of known columns."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    yield from ((int(start), int(stop)) for start, stop in turns.reshape(-1, 2))


def _distance(walls: Walls, s_per_px: float) -> NDArray[np.float64]:
    """Distance of the walls' inner borders in pixels, smoothed."""
    inner = (walls[2] - walls[1]).astype(np.float64)
    return np.asarray(gaussian_filter1d(inner, SMOOTHING_S / s_per_px), dtype=np.float64)


def _diastoles(distance: NDArray[np.float64], s_per_px: float) -> list[int]:
    """Columns of the greatest distances, the last of each plateau, where contraction begins."""
    # Padded with the least distance, so that the first and last peak need no systole beside them.
    between_systoles = np.pad(distance, 1, constant_values=distance.min())
    peaks, _ = find_peaks(
        between_systoles,
        distance=max(1.0, LEAST_RR_S / s_per_px),
        prominence=LEAST_PROMINENCE * max(float(np.ptp(distance)), 1.0),
    )
    lower = [distance[peak:] < distance[peak] - PLATEAU_PX for peak in peaks - 1]
    return [int(peak + after.argmax()) - 2 for peak, after in zip(peaks, lower, strict=True) if after.any()]


def _cycle(
    walls: Walls, phases: tuple[int, int], span: tuple[float, float], start: int, height: int
) -> CycleTruth:
    """The box by the phantom's rule, the landmarks on the curves; `walls` begins at column `start`."""
    inside = walls[:, int(np.ceil(span[0])) : int(span[1]) + 1]
    top, bottom = float(inside[0].min()), float(inside[3].max())
    margin = WALL_MARGIN * (bottom - top)
    box = (start + span[0], max(top - margin, -0.5), start + span[1], min(bottom + margin, height - 0.5))
    points = [(start + column, walls[row, column]) for column in phases for row in range(4)]
    return CycleTruth(box_px=box, landmarks_px=as_landmarks(np.array(points, dtype=np.float64)))
