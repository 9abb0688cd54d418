"""95 % intervals for every number, by sampling: what the crops and beats say, and what validation knew.

Each of the six lengths and the rate is off by a normal error whose deviation has a fixed part (a share
of the heart's size or of the rate, because networks err in pixels of a crop) and a part in proportion
to the spread seen on this strip; errors go together as they did in validation. Every other number is
computed from the sampled ones, and its interval widened or narrowed by the factor that made 95 % of
validation truths fall inside. No torch here: arithmetic on arrays.
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
"""What is sampled, in the order of `Residuals.correlation`; everything else follows from these."""
SAMPLES = 2000
SEED = 20261124
"""The same cycles always get the same intervals."""
TAILS = (0.025, 0.5, 0.975)
LEAST_CM = 0.05
LEAST_NARROWING = 0.005
"""A sampled heart still has walls and still contracts a little."""
LEAST_BPM = 10.0
MOST = {"EF_percent": 100.0, "FS_percent": 100.0}


class Residuals(BaseModel):
    """How wrong the quantities were on validation strips; defaults are for weights that do not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fixed: Mapping[str, float] = dict.fromkeys(QUANTITIES, 0.035)
    """Deviation of each quantity whatever its spread, as a share of its `sizes`."""
    of_spread: Mapping[str, float] = dict.fromkeys(QUANTITIES, 1.0)
    """Deviation of each quantity per spread."""
    correlation: tuple[tuple[float, ...], ...] = tuple(
        tuple(float(row == column) for column in QUANTITIES) for row in QUANTITIES
    )
    """(7, 7) in the order of `QUANTITIES`."""
    widen: Mapping[str, float] = {}
    """Factor on the width of each value's interval; 1 where nothing is said."""

    @model_validator(mode="after")
    def _complete(self) -> "Residuals":
        if set(self.fixed) != set(QUANTITIES) or set(self.of_spread) != set(QUANTITIES):
            raise ValueError(f"fixed and of_spread must name {', '.join(QUANTITIES)}")
        if np.shape(self.correlation) != (len(QUANTITIES), len(QUANTITIES)):
            raise ValueError(f"correlation must be {len(QUANTITIES)} x {len(QUANTITIES)}")
        return self


def with_intervals(cycles: Sequence[CycleMeasurement], residuals: Residuals) -> dict[str, Value]:
    """The mean of every value over the cycles with its 95 % interval, which always holds the mean."""
    values = means(cycles)
    sampled = sample(cycles, residuals)
    return {
        name: Value(
            value=value, ci95=interval(name, value, sampled[name], widen=residuals.widen.get(name, 1.0))
        )
        for name, value in values.items()
    }


def means(cycles: Sequence[CycleMeasurement]) -> dict[str, float]:
    """Every value averaged over the cycles."""
    return {name: float(np.mean([cycle.values[name] for cycle in cycles])) for name in cycles[0].values}


def interval(name: str, value: float, sampled: Array, *, widen: float = 1.0) -> tuple[float, float]:
    """2.5 and 97.5 % of the samples, moved so that their median is the reported value; never impossible."""
    below, above = reach(sampled)
    low, high = max(0.0, value - widen * below), value + widen * above
    return min(low, value), max(min(high, MOST.get(name, high)), value)


def reach(sampled: Array) -> tuple[float, float]:
    """How far the middle 95 % of the samples extend below and above their median."""
    low, middle, high = (float(each) for each in np.quantile(sampled, TAILS))
    return middle - low, high - middle


def sample(cycles: Sequence[CycleMeasurement], residuals: Residuals) -> dict[str, Array]:
    """(SAMPLES,) of every value: hearts that may lie behind these cycles."""
    values = means(cycles)
    middle = np.array([values[name] for name in QUANTITIES])
    errors = normal_deviates() @ _root(residuals.correlation).T  # (SAMPLES, 7)
    drawn = middle + errors * deviations(residuals, sizes(values), spreads(cycles))
    lengths = {name: np.maximum(drawn[:, i], LEAST_CM) for i, name in enumerate(LENGTHS)}
    widest = (1 - LEAST_NARROWING) * lengths["LVIDd_cm"]
    lengths["LVIDs_cm"] = np.minimum(lengths["LVIDs_cm"], widest)
    rate_bpm = np.maximum(drawn[:, len(LENGTHS)], LEAST_BPM)
    return {**lengths, **derived(lengths, rr_s=60.0 / rate_bpm)}


def deviations(residuals: Residuals, size: Array, spread: Array) -> Array:
    """Standard deviation of each quantity, (7,), from its size and spread."""
    fixed = np.array([residuals.fixed[name] for name in QUANTITIES])
    of_spread = np.array([residuals.of_spread[name] for name in QUANTITIES])
    return np.asarray(np.hypot(fixed * size, of_spread * spread))


def sizes(values: Mapping[str, float]) -> Array:
    """What fixed errors are shares of, (7,): the whole diastolic heart in cm six times, the rate in bpm."""
    heart_cm = values["IVSd_cm"] + values["LVIDd_cm"] + values["LVPWd_cm"]
    return np.array([heart_cm] * len(LENGTHS) + [values["HR_bpm"]])


def spreads(cycles: Sequence[CycleMeasurement]) -> Array:
    """Deviation of each quantity's mean, (7,): over the crops of a cycle, and over the cycles.

    Crops of one cycle err together and beats of one strip are alike, so the crops' part does not
    shrink with the number of cycles; the beats' part does.
    """
    within = np.array([[cycle.spread[name] for name in QUANTITIES] for cycle in cycles])
    beats = np.array([[cycle.values[name] for name in QUANTITIES] for cycle in cycles])
    between = beats.var(axis=0, ddof=1) / len(cycles) if len(cycles) > 1 else np.zeros(len(QUANTITIES))
    return np.asarray(np.sqrt((within**2).mean(axis=0) + between))


@cache
def normal_deviates() -> Array:
    """(SAMPLES, 7) independent standard normal numbers, each with its mirror image."""
    half = np.random.default_rng(SEED).normal(size=(SAMPLES // 2, len(QUANTITIES)))
    return np.concatenate([half, -half])


def _root(correlation: Sequence[Sequence[float]]) -> Array:
    """A matrix R with R Rᵀ = correlation, also where rounding has left that not quite definite."""
    values, vectors = np.linalg.eigh(np.array(correlation))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
