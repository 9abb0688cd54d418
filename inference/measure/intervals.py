"""95 % intervals of all values, by sampling an error model fitted on validation strips.

Each of the six lengths and the heart rate has a normal error. Its variance is the sum of a fixed part (the
deviation is a share of the heart's size or of the rate, since networks err in pixels of a crop), of a part in
proportion to the spread seen on this strip, and of one in proportion to the doubt of the network itself, so
that a border it hardly sees widens its own lengths. Errors are correlated as on validation strips. All other
values are computed from the sampled ones. Each interval is scaled by the factor that made 95 % of the
validation truths fall inside.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from inference.measure.formulas import derived
from inference.types import LENGTHS, CycleMeasurement, Value

Array = NDArray[np.float64]

QUANTITIES = (*LENGTHS, "HR_bpm")
"""The sampled quantities, in the order of `Residuals.correlation`; all other values follow from them."""
SAMPLES = 2000
SEED = 20261124
"""Fixed, so that the same cycles always get the same intervals."""
TAILS = (0.025, 0.5, 0.975)
"""Quantiles of the interval's ends and of its middle."""
LEAST_CM = 0.05
LEAST_NARROWING = 0.005
"""Sampled lengths are at least `LEAST_CM`, and LVIDs is smaller than LVIDd by at least this share."""
LEAST_BPM = 10.0
MOST = {"EF_percent": 100.0, "FS_percent": 100.0}
"""Upper limit of an interval's end."""


class Residuals(BaseModel):
    """Error model of the sampled quantities; the defaults serve weights whose record has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fixed: Mapping[str, float] = dict.fromkeys(QUANTITIES, 0.035)
    """Standard deviation of each quantity at zero spread, as a share of its `sizes`."""
    of_spread: Mapping[str, float] = dict.fromkeys(QUANTITIES, 1.0)
    """Standard deviation of each quantity per unit of spread."""
    of_doubt: Mapping[str, float] = dict.fromkeys(QUANTITIES, 0.0)
    """Standard deviation of each quantity per unit of doubt."""
    correlation: tuple[tuple[float, ...], ...] = tuple(
        tuple(float(row == column) for column in QUANTITIES) for row in QUANTITIES
    )
    """(7, 7) in the order of `QUANTITIES`."""
    widen: Mapping[str, float] = {}
    """Factor on the width of each value's interval; 1 where a value is not listed."""

    @model_validator(mode="after")
    def _complete(self) -> "Residuals":
        if any(set(part) != set(QUANTITIES) for part in (self.fixed, self.of_spread, self.of_doubt)):
            raise ValueError(f"fixed, of_spread and of_doubt must name {', '.join(QUANTITIES)}")
        if np.shape(self.correlation) != (len(QUANTITIES), len(QUANTITIES)):
            raise ValueError(f"correlation must be {len(QUANTITIES)} x {len(QUANTITIES)}")
        return self


def with_intervals(cycles: Sequence[CycleMeasurement], residuals: Residuals) -> dict[str, Value]:
    """The mean of every value over the cycles with its 95 % interval, which always contains the mean."""
    values = means(cycles)
    sampled = sample(cycles, residuals)
    return {
        name: Value(
            value=value, ci95=interval(name, value, sampled[name], widen=residuals.widen.get(name, 1.0))
        )
        for name, value in values.items()
    }


def means(cycles: Sequence[CycleMeasurement]) -> dict[str, float]:
    """Mean of every value over the cycles."""
    return {name: float(np.mean([cycle.values[name] for cycle in cycles])) for name in cycles[0].values}


def interval(name: str, value: float, sampled: Array, *, widen: float = 1.0) -> tuple[float, float]:
    """The 2.5 and 97.5 % quantiles, shifted so that the median is `value`, clipped to what is possible."""
    below, above = reach(sampled)
    low, high = max(0.0, value - widen * below), value + widen * above
    return min(low, value), max(min(high, MOST.get(name, high)), value)


def reach(sampled: Array) -> tuple[float, float]:
    """Distance of the 2.5 and 97.5 % quantiles from the median: (below, above)."""
    low, middle, high = (float(each) for each in np.quantile(sampled, TAILS))
    return middle - low, high - middle


def sample(cycles: Sequence[CycleMeasurement], residuals: Residuals) -> dict[str, Array]:
    """(SAMPLES,) draws of every value from the error model around the mean of the cycles."""
    values = means(cycles)
    middle = np.array([values[name] for name in QUANTITIES])
    errors = normal_deviates() @ _root(residuals.correlation).T  # (SAMPLES, 7)
    drawn = middle + errors * deviations(residuals, scales(cycles))
    lengths = {name: np.maximum(drawn[:, i], LEAST_CM) for i, name in enumerate(LENGTHS)}
    widest = (1 - LEAST_NARROWING) * lengths["LVIDd_cm"]
    lengths["LVIDs_cm"] = np.minimum(lengths["LVIDs_cm"], widest)
    rate_bpm = np.maximum(drawn[:, len(LENGTHS)], LEAST_BPM)
    return {**lengths, **derived(lengths, rr_s=60.0 / rate_bpm)}


def deviations(residuals: Residuals, scale: Array) -> Array:
    """(7,) standard deviation of each quantity from its `scales`."""
    parts = (residuals.fixed, residuals.of_spread, residuals.of_doubt)
    slopes = np.array([[part[name] for name in QUANTITIES] for part in parts])
    return np.asarray(np.sqrt(((slopes * scale) ** 2).sum(axis=0)))


def scales(cycles: Sequence[CycleMeasurement]) -> Array:
    """(3, 7) what the three parts of each quantity's error are in proportion to: size, spread and doubt."""
    return np.stack([sizes(means(cycles)), spreads(cycles), doubts(cycles)])


def sizes(values: Mapping[str, float]) -> Array:
    """(7,) what the fixed errors are shares of.

    For the six lengths the diastolic distance in cm from the septum's outer border to the posterior wall's,
    for the rate itself in bpm.
    """
    heart_cm = values["IVSd_cm"] + values["LVIDd_cm"] + values["LVPWd_cm"]
    return np.array([heart_cm] * len(LENGTHS) + [values["HR_bpm"]])


def spreads(cycles: Sequence[CycleMeasurement]) -> Array:
    """(7,) standard deviation of each quantity's mean: over the crops of a cycle, and over the cycles.

    Errors of the crops are common to all cycles of a strip, so their part does not shrink with the number
    of cycles; the variance between cycles does.
    """
    within = np.array([[cycle.spread[name] for name in QUANTITIES] for cycle in cycles])
    beats = np.array([[cycle.values[name] for name in QUANTITIES] for cycle in cycles])
    between = beats.var(axis=0, ddof=1) / len(cycles) if len(cycles) > 1 else np.zeros(len(QUANTITIES))
    return np.asarray(np.sqrt((within**2).mean(axis=0) + between))


def doubts(cycles: Sequence[CycleMeasurement]) -> Array:
    """(7,) doubt of each quantity: root mean square over the cycles, since all show the same borders."""
    each = np.array([[cycle.doubt.get(name, 0.0) for name in QUANTITIES] for cycle in cycles])
    return np.asarray(np.sqrt((each**2).mean(axis=0)))


@cache
def normal_deviates() -> Array:
    """(SAMPLES, 7) standard normal numbers, in pairs of opposite sign so that their mean is 0."""
    half = np.random.default_rng(SEED).normal(size=(SAMPLES // 2, len(QUANTITIES)))
    return np.concatenate([half, -half])


def _root(correlation: Sequence[Sequence[float]]) -> Array:
    """A matrix R with R Rᵀ = correlation; negative eigenvalues from rounding count as 0."""
    values, vectors = np.linalg.eigh(np.array(correlation))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
