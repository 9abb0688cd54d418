"""How well the model measures phantoms it has never seen: `echonode evaluate`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from inference.analyse import Model, analyse_strip
from inference.labelled import mean_values
from inference.phantom.lookalikes import LOOKALIKES
from inference.phantom.strip import Phantom
from inference.training.data import TEST_SEEDS, phantoms
from inference.types import StripResult


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One phantom and what the model said of it."""

    phantom: Phantom
    result: StripResult
    seconds: float


def judge(model: Model, strips: Sequence[Phantom]) -> list[Judged]:
    """The model's answer for every phantom."""
    judged = []
    for phantom in strips:
        start = perf_counter()
        result = analyse_strip(phantom.strip, model)
        judged.append(Judged(phantom=phantom, result=result, seconds=perf_counter() - start))
    return judged


def evaluate(model: Model, *, count: int, lookalikes: int, seed: int = 0) -> Mapping[str, Any]:
    """Errors on `count` left ventricles and refusals on `lookalikes` strips of every other kind.

    Seeds are those of the test range, offset by `seed`; none was used in training or validation.
    A left ventricle without one whole cycle on its strip is left out: there is nothing to measure.
    """
    drawn = phantoms(TEST_SEEDS + seed, count + count // 10, kind="LV")
    hearts = [phantom for phantom in drawn if phantom.cycles][:count]
    report: dict[str, Any] = {"model": model.identity.sha256, "left_ventricles": errors(judge(model, hearts))}
    report["refused"] = {}
    for kind in LOOKALIKES:
        others = judge(model, phantoms(TEST_SEEDS + seed, lookalikes, kind=kind))
        report["refused"][kind] = float(np.mean([not one.result.measured for one in others]))
    return report


def errors(judged: Sequence[Judged]) -> Mapping[str, Any]:
    """Coverage, and per value mean absolute error, bias and 95 % limits of agreement, in its own unit."""
    measured = [one for one in judged if one.result.measured]
    table: dict[str, Any] = {
        "count": len(judged),
        "coverage": len(measured) / len(judged),
        "seconds_per_strip": float(np.median([one.seconds for one in judged])),
        "reasons": _count([one.result.reason for one in judged if one.result.reason]),
        "values": {},
    }
    if not measured:
        return table
    truths = [mean_values(one.phantom) for one in measured]
    for name in measured[0].result.measurements:
        found = [one.result.measurements[name] for one in measured]
        off = np.array([value.value - truth[name] for value, truth in zip(found, truths, strict=True)])
        inside = [v.ci95[0] <= t[name] <= v.ci95[1] for v, t in zip(found, truths, strict=True)]
        table["values"][name] = {
            "mae": float(np.abs(off).mean()),
            "bias": float(off.mean()),
            "limits": [float(off.mean() - 1.96 * off.std()), float(off.mean() + 1.96 * off.std())],
            "inside_ci95": float(np.mean(inside)),
        }
    return table


def _count(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}
