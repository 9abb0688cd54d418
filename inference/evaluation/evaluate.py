"""The evaluation of a model: measure strips, compute figures, compare with the targets."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from rich.console import Console
from rich.progress import track

from inference.analyse import load_model
from inference.evaluation.beside import Beside, compared
from inference.evaluation.by_manner import MannerFigures, by_manner
from inference.evaluation.figures import MOST_TIMED, Figures, Timing, figures, time_strips
from inference.evaluation.sample import RULES, Plan, Range, dataset_sources, lookalike_sources, lv_sources
from inference.evaluation.scored_strips import EvalRuntime, ScoredStrip, score_all, worker_pool
from inference.evaluation.targets import Target, targets
from inference.types import ModelIdentity


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scored strips and the figures computed from them."""

    strips: str
    """Description of the strips."""
    model: ModelIdentity
    scored: tuple[ScoredStrip, ...]
    figures: Figures
    timing: Timing | None
    targets: tuple[Target, ...]
    by_manner: Mapping[str, MannerFigures]
    """Figures of each manner in which left ventricles were drawn."""
    beside: Beside | None = None
    """The same strips measured with other weights, if that was asked for."""


def evaluate(plan: Plan, runtime: EvalRuntime) -> Evaluation:
    """Measure phantoms of the test seeds."""
    words = f"phantoms of {plan.range} range{' by manner' * plan.by_manner}, test seeds from {plan.seed}"
    return _evaluation(words, _scored(plan, runtime), runtime, plan.range)


def evaluate_beside(plan: Plan, runtime: EvalRuntime, other: EvalRuntime) -> Evaluation:
    """Measure phantoms of the test seeds with two models; the second is what the first is compared with."""
    model = load_model(other.weights, other.device).identity  # first: unusable weights show at once
    evaluation = evaluate(plan, runtime)
    return replace(evaluation, beside=compared(evaluation.scored, _scored(plan, other), model))


def _scored(plan: Plan, runtime: EvalRuntime) -> list[ScoredStrip]:
    with worker_pool(runtime) as pool:
        return list(_watched(_phantoms(plan, runtime, pool), plan.count + plan.lookalikes))


def evaluate_dataset(folder: Path, runtime: EvalRuntime) -> Evaluation:
    """Measure the strips of a data set; the targets are those of the clinical range.

    Raises:
        InvalidDataset: the folder is not a valid data set; says why.
    """
    sources = dataset_sources(folder)
    with worker_pool(runtime) as pool:
        scored = list(_watched(score_all(sources, runtime, pool), len(sources)))
    return _evaluation(f"data set {folder.name}", scored, runtime, Range.CLINICAL)


def _phantoms(plan: Plan, runtime: EvalRuntime, pool: Executor) -> Iterator[ScoredStrip]:
    """The first left ventricles of each manner within the range, then the look-alikes."""
    lv_strips = (
        islice(score_all(lv_sources(plan, name), runtime, pool, accepts=RULES[plan.range]), count)
        for name, count in plan.groups.items()
    )
    return chain(*lv_strips, score_all(lookalike_sources(plan), runtime, pool))


def _watched(scored: Iterator[ScoredStrip], total: int) -> Iterator[ScoredStrip]:
    """The same strips, with a progress bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    return iter(
        track(scored, "measuring strips", total=total, console=console, disable=not console.is_terminal)
    )


def _evaluation(strips: str, scored: list[ScoredStrip], runtime: EvalRuntime, range_: Range) -> Evaluation:
    model = load_model(runtime.weights, runtime.device)
    timed = [one.source() for one in scored if one.is_lv][:MOST_TIMED]
    found, timing = figures(scored), time_strips(timed, model)
    return Evaluation(
        strips=strips,
        model=model.identity,
        scored=tuple(scored),
        figures=found,
        timing=timing,
        targets=tuple(targets(found, timing, range_)),
        by_manner=by_manner(scored),
    )
