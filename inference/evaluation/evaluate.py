"""The recipe of `echonode evaluate`: strips, answers, figures, targets."""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from rich.console import Console
from rich.progress import track

from inference.analyse import load_model
from inference.evaluation.figures import MOST_TIMED, Figures, Timing, figures, time_strips
from inference.evaluation.judged import Judged, Machine, judge_all, worker_pool
from inference.evaluation.sample import RULES, Plan, Range, dataset_sources, heart_sources, lookalike_sources
from inference.evaluation.targets import Target, targets
from inference.types import ModelIdentity


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was judged and what came out."""

    strips: str
    """Which strips, in words."""
    model: ModelIdentity
    judged: tuple[Judged, ...]
    figures: Figures
    timing: Timing | None
    targets: tuple[Target, ...]


def evaluate(plan: Plan, machine: Machine) -> Evaluation:
    """Judges phantoms of unseen seeds."""
    total = plan.count + plan.lookalikes
    with worker_pool(machine) as pool:
        judged = list(_watched(_phantoms(plan, machine, pool), total))
    words = f"phantoms of {plan.range} range, test seeds from {plan.seed}"
    return _evaluation(words, judged, machine, plan.range)


def evaluate_dataset(folder: Path, machine: Machine) -> Evaluation:
    """Judges traced strips against the targets of the clinical range.

    Raises:
        InvalidDataset: says what is wrong with the folder.
    """
    sources = dataset_sources(folder)
    with worker_pool(machine) as pool:
        judged = list(_watched(judge_all(sources, machine, pool), len(sources)))
    return _evaluation(f"data set {folder.name}", judged, machine, Range.CLINICAL)


def _phantoms(plan: Plan, machine: Machine, pool: Executor) -> Iterator[Judged]:
    """The first hearts that the range's rule passes, then everything else."""
    hearts = judge_all(heart_sources(plan), machine, pool, accepts=RULES[plan.range])
    others = judge_all(lookalike_sources(plan), machine, pool)
    return chain(islice(hearts, plan.count), others)


def _watched(judged: Iterator[Judged], total: int) -> Iterator[Judged]:
    """The same, with a bar on standard error while somebody waits."""
    console = Console(stderr=True)
    return iter(
        track(judged, "judging strips", total=total, console=console, disable=not console.is_terminal)
    )


def _evaluation(strips: str, judged: list[Judged], machine: Machine, range_: Range) -> Evaluation:
    model = load_model(machine.weights, machine.device)
    timed = [one.source() for one in judged if one.is_lv][:MOST_TIMED]
    found, timing = figures(judged), time_strips(timed, model)
    return Evaluation(
        strips=strips,
        model=model.identity,
        judged=tuple(judged),
        figures=found,
        timing=timing,
        targets=tuple(targets(found, timing, range_)),
    )
