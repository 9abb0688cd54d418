"""Errors of measured values against true ones, and coverage of the 95 % intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.scored_strips import ScoredStrip
from inference.types import LENGTHS

QUANTITIES = (*LENGTHS, "EDV_ml", "ESV_ml", "EF_percent", "FS_percent")
"""Compared quantities, in the order of tables and plots."""
NOMINAL = (0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95, 0.99)
"""Probabilities at which the intervals' coverage is computed."""
Z95 = 1.96

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`hits` out of `of`."""

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """0…1; None if `of` is 0."""
        return self.hits / self.of if self.of else None

    @property
    def ci95(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share."""
        if not self.of:
            return 0.0, 1.0
        p, z2 = self.hits / self.of, Z95**2 / self.of
        middle = p + z2 / 2
        half = math.sqrt(z2 * p * (1 - p) + z2**2 / 4)
        return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """True and measured values of one quantity on N strips, in the unit of its name; arrays (N,)."""

    true: Floats
    found: Floats
    low: Floats
    high: Floats

    @property
    def error(self) -> Floats:
        """(N,) found - true."""
        return self.found - self.true


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Errors (found - true) of one quantity, in the unit of its name (Bland and Altman 1986)."""

    count: int
    mae: float
    bias: float
    limits: tuple[float, float]
    """Bias -/+ 1.96 standard deviations of the error."""
    inside_ci95: Rate
    """Truths inside the stated 95 % interval."""


def pairs(scored: Sequence[ScoredStrip], name: str) -> Pairs:
    """Collect one quantity over the left ventricles that were measured."""
    rows = [
        (one.values[name], value.value, *value.ci95)
        for one in scored
        if one.is_lv and one.result.measured and (value := one.result.measurements.get(name)) is not None
    ]
    true, found, low, high = np.array(rows, np.float64).reshape(-1, 4).T
    return Pairs(true=true, found=found, low=low, high=high)


def agreement(pairs: Pairs) -> Agreement | None:
    """Error, bias, limits and interval coverage; None without strips."""
    if not pairs.true.size:
        return None
    error = pairs.error
    bias, reach = float(error.mean()), Z95 * float(error.std(ddof=1 if error.size > 1 else 0))
    return Agreement(
        count=error.size,
        mae=float(np.abs(error).mean()),
        bias=bias,
        limits=(bias - reach, bias + reach),
        inside_ci95=Rate(hits=int(_inside(pairs, 1.0).sum()), of=error.size),
    )


def interval_reliability(compared: Mapping[str, Pairs]) -> dict[str, list[float]]:
    """Per quantity the coverage of the central interval of each probability in `NOMINAL`.

    Each half of a stated 95 % interval is scaled as that of a normal distribution.
    """
    scales = [NormalDist().inv_cdf((1 + p) / 2) / Z95 for p in NOMINAL]
    return {
        name: [float(_inside(one, scale).mean()) for scale in scales]
        for name, one in compared.items()
        if one.true.size
    }


def _inside(pairs: Pairs, scale: float) -> NDArray[np.bool_]:
    """(N,) True where the truth lies inside the stated interval with both halves scaled."""
    low = pairs.found - scale * (pairs.found - pairs.low)
    high = pairs.found + scale * (pairs.high - pairs.found)
    return (low <= pairs.true) & (pairs.true <= high)
