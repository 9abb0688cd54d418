"""One strip, its truth, and what the model said of it; many of them by several processes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context

import torch

from inference.analyse import Model, load_model, verdict
from inference.labelled import LEFT_VENTRICLE, CycleTruth, LabelledStrip, mean_values
from inference.networks.detector import detect
from inference.types import CycleBox, StripResult

Source = Callable[[], LabelledStrip]
"""Makes or hands out a strip: thousands of them are too many to keep in memory."""
Rule = Callable[[LabelledStrip], bool]
"""Whether a strip counts."""
BATCH = 64


def everything(_strip: LabelledStrip) -> bool:
    """The rule that passes every strip."""
    return True


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A strip by name, without its pixels; all coordinates in strip pixels."""

    name: str
    kind: str
    truths: tuple[CycleTruth, ...]
    values: Mapping[str, float]
    """True values, mean over the true cycles; empty for what is no left ventricle."""
    result: StripResult
    candidates: tuple[CycleBox, ...]
    """Every box of the detector before any threshold, most probable first."""
    source: Source

    @property
    def is_lv(self) -> bool:
        """True for a left ventricle at chordal level."""
        return self.kind == LEFT_VENTRICLE


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Which weights, on which processor, by how many processes."""

    weights: str = ""
    """Weights folder; empty: the shipped ones."""
    device: str = "auto"
    workers: int = 2
    """On CPU each worker computes with one thread; on CUDA one process is enough."""


def judge(strip: LabelledStrip, source: Source, model: Model) -> Judged:
    """The model's answer to one strip that came from `source`."""
    candidates = detect(model.detector, strip.strip, model.device)
    return Judged(
        name=strip.name,
        kind=strip.kind,
        truths=strip.cycles,
        values=mean_values(strip),
        result=verdict(strip.strip, candidates, model),
        candidates=tuple(candidates),
        source=source,
    )


def judge_all(
    sources: Iterable[Source], machine: Machine, pool: Executor, *, accepts: Rule = everything
) -> Iterator[Judged]:
    """Answers to the strips that `accepts` passes, in the order of the sources.

    Sources are taken a batch at a time, so that a caller may stop early. What comes back keeps the
    caller's source, not the worker's copy of its pixels.
    """
    remaining = iter(sources)
    work = partial(_judge_in_worker, machine=machine, accepts=accepts)
    while batch := list(islice(remaining, BATCH)):
        for source, judged in zip(batch, pool.map(work, batch, chunksize=4), strict=True):
            if judged is not None:
                yield replace(judged, source=source)


def worker_pool(machine: Machine) -> ProcessPoolExecutor:
    """Processes that load the model when first asked.

    They are spawned: a process forked after torch has computed may wait for ever.
    """
    return ProcessPoolExecutor(machine.workers, mp_context=get_context("spawn"))


def _judge_in_worker(source: Source, *, machine: Machine, accepts: Rule) -> Judged | None:
    strip = source()
    return judge(strip, source, single_threaded(machine)) if accepts(strip) else None


@cache
def single_threaded(machine: Machine) -> Model:
    """The model of this process, loaded once: two torch threads on a busy machine wait for each other."""
    model = load_model(machine.weights, machine.device)
    torch.set_num_threads(1)
    return model
