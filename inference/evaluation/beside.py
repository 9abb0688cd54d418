"""Errors beside those of other weights on the same strips, in pairs, so that luck of the draw cancels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.evaluation.agreement import Z95, Rate
from inference.evaluation.by_manner import COLUMNS, names_of
from inference.evaluation.figures import measured_rate
from inference.evaluation.scored_strips import ScoredStrip
from inference.evaluation.units import shown
from inference.types import ModelIdentity

ALL = "all"
"""Name of the strips of all manners together."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Absolute errors minus those of the other weights, in the unit of the quantity; less than 0: better."""

    count: int
    """Strips on which both report the quantity."""
    mean: float
    ci95: tuple[float, float]
    """Of the mean, by the normal distribution."""

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval excludes 0, else `equal`."""
        low, high = self.ci95
        return "better" if high < 0 else "worse" if low > 0 else "equal"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The other weights: who they are, their rates, and the differences to them."""

    model: ModelIdentity
    coverage: Rate
    false_measures: Rate
    differences: Mapping[str, Mapping[str, Difference]]
    """By manner, then by quantity; `ALL` first."""


def compared(scored: Sequence[ScoredStrip], others: Sequence[ScoredStrip], model: ModelIdentity) -> Beside:
    """Compare two scores of the same strips in the same order; `model` made the second."""
    lv_pairs = [pair for pair in zip(scored, others, strict=True) if pair[0].is_lv]
    names = [ALL, *dict.fromkeys(name for one, _ in lv_pairs for name in names_of(one))]
    of_each = {name: [pair for pair in lv_pairs if name in (ALL, *names_of(pair[0]))] for name in names}
    return Beside(
        model=model,
        coverage=measured_rate([other for _, other in lv_pairs]),
        false_measures=measured_rate([other for other in others if not other.is_lv]),
        differences={name: _differences(pairs) for name, pairs in of_each.items()},
    )


def difference_text(name: str, found: Mapping[str, Difference]) -> str:
    """Return the difference of a quantity with its interval, and the verdict unless equal, as text."""
    one = found.get(name)
    if one is None:
        return "—"
    mean, low, high = (shown(name)[2] * each for each in (one.mean, *one.ci95))
    verdict = "" if one.verdict == "equal" else f" {one.verdict}"
    return f"{mean:+.2f} ({low:+.2f} … {high:+.2f}){verdict}"


def _differences(pairs: Sequence[tuple[ScoredStrip, ScoredStrip]]) -> dict[str, Difference]:
    found = {}
    for name in COLUMNS:
        both = [pair for pair in pairs if all(name in one.result.measurements for one in pair)]
        if len(both) > 1:
            off = np.array([[abs(_error(one, name)) for one in pair] for pair in both])
            better = off[:, 0] - off[:, 1]
            mean, half = float(better.mean()), Z95 * float(better.std(ddof=1)) / len(both) ** 0.5
            found[name] = Difference(count=len(both), mean=mean, ci95=(mean - half, mean + half))
    return found


def _error(one: ScoredStrip, name: str) -> float:
    return one.result.measurements[name].value - one.values[name]
