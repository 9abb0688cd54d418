"""Fit of the error model of the 95 % intervals to measured validation strips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.optimize import minimize

from inference.measure.intervals import (
    QUANTITIES,
    Array,
    Residuals,
    deviations,
    means,
    reach,
    sample,
    scales,
)
from inference.types import CycleMeasurement

LEAST_STRIPS = 40
"""Fewer strips cannot tell a 95 % interval from chance."""
INSIDE, INSIDE_MANNER = 0.95, 0.85
"""Shares of truths that an interval shall contain, of all strips and of each manner's."""
TRIMMED = 0.99
"""Larger errors are clipped to this quantile, so that one outlier does not widen every interval."""
CLIP = 3.0
"""Standardised errors are clipped to this before they are correlated."""
STEEPEST = 4.0
"""Greatest `of_spread` and `of_doubt`."""


@dataclass(frozen=True, kw_only=True)
class ValidationStrip:
    """The measured cycles of a strip, and its true values."""

    cycles: Sequence[CycleMeasurement]
    truth: Mapping[str, float]
    manners: tuple[str, ...] = ()
    """In which a phantom was drawn."""


def fit_residuals(strips: Sequence[ValidationStrip]) -> Residuals:
    """Fixed and both proportional parts of each deviation, their correlation, and each value's factor.

    Raises:
        ValueError: fewer than `LEAST_STRIPS` strips.
    """
    if len(strips) < LEAST_STRIPS:
        raise ValueError(f"intervals need {LEAST_STRIPS} measured left ventricles, not {len(strips)}")
    found = [means(strip.cycles) for strip in strips]
    off = np.array(
        [[one[q] - strip.truth[q] for q in QUANTITIES] for one, strip in zip(found, strips, strict=True)]
    )
    scale = np.array([scales(strip.cycles) for strip in strips])  # (strips, 3, 7)
    parts = np.array([three_parts(off[:, i], scale[:, :, i]) for i in range(len(QUANTITIES))])
    fixed, of_spread, of_doubt = (dict(zip(QUANTITIES, part.tolist(), strict=True)) for part in parts.T)
    plain = Residuals(fixed=fixed, of_spread=of_spread, of_doubt=of_doubt)
    correlated = plain.model_copy(update={"correlation": correlation(plain, off, scale)})
    return correlated.model_copy(update={"widen": factors(strips, correlated)})


def three_parts(off: Array, scale: Array) -> Array:
    """(3,) slopes of maximum likelihood, for errors `off` (strips,) and their scales (strips, 3).

    The variance of an error is the sum of (slope x scale)². A scale that is 0 throughout has slope 0.
    """
    most = np.quantile(np.abs(off), TRIMMED)
    squared = np.clip(off, -most, most) ** 2
    used, steepest = scale.any(axis=0), np.array([np.inf, STEEPEST, STEEPEST])

    def slopes(logs: Array) -> Array:
        return np.asarray(np.minimum(np.exp(logs), steepest) * used)

    def unlikeliness(logs: Array) -> float:
        variance = ((slopes(logs) * scale) ** 2).sum(axis=1)
        return float(np.mean(np.log(variance) + squared / variance))

    start = np.log([max(float(np.sqrt(np.mean(squared / scale[:, 0] ** 2))), 1e-4), 0.5, 0.5])
    return slopes(minimize(unlikeliness, start, method="Nelder-Mead").x)


def correlation(plain: Residuals, off: Array, scale: Array) -> tuple[tuple[float, ...], ...]:
    """(7, 7) correlation of the standardised errors."""
    deviation = np.array([deviations(plain, each) for each in scale])
    correlated = np.corrcoef(np.clip(off / deviation, -CLIP, CLIP), rowvar=False)
    return tuple(tuple(round(float(each), 4) for each in row) for row in correlated)


def factors(strips: Sequence[ValidationStrip], residuals: Residuals) -> dict[str, float]:
    """Per value the factor on its interval that covers 95 % of all truths, and 85 % of each manner's.

    Split conformal: the quantile of the factors that single truths would need, over all strips, and over
    those of each manner that has `LEAST_STRIPS`; the largest of these counts.
    """
    needed = [_needed(strip, residuals) for strip in strips]
    groups = [[strip.manners == each for strip in strips] for each in {strip.manners for strip in strips}]
    found: dict[str, float] = {}
    for name in needed[0]:
        of_all = np.array([one[name] for one in needed])
        of_manners = [
            _conformal(of_all[group], INSIDE_MANNER) for group in groups if sum(group) >= LEAST_STRIPS
        ]
        found[name] = max([_conformal(of_all, INSIDE), *of_manners])
    return found


def left_out_coverage(strips: Sequence[ValidationStrip]) -> dict[str, float]:
    """Per manner the share of truths inside intervals that were calibrated without it, of all values."""
    names = sorted({name for strip in strips for name in strip.manners})
    found = {}
    for name in names:
        others = [strip for strip in strips if name not in strip.manners]
        left_out = [strip for strip in strips if name in strip.manners]
        if len(others) >= LEAST_STRIPS:
            residuals = fit_residuals(others)
            inside = [
                factor <= residuals.widen[value]
                for strip in left_out
                for value, factor in _needed(strip, residuals).items()
            ]
            found[f"inside_when_left_out_{name}"] = float(np.mean(inside))
    return found


def _needed(strip: ValidationStrip, residuals: Residuals) -> dict[str, float]:
    """By which factor each interval of a strip would have to be widened to reach the truth."""
    values, sampled = means(strip.cycles), sample(strip.cycles, residuals)
    found = {}
    for name, value in values.items():
        off, (below, above) = strip.truth[name] - value, reach(sampled[name])
        found[name] = off / above if off > 0 else -off / below
    return found


def _conformal(needed: Array, inside: float) -> float:
    rank = min(1.0, ceil(inside * (len(needed) + 1)) / len(needed))
    return float(np.quantile(needed, rank, method="higher"))
