"""One strip, its truth, and what the model said of it; many of them by several processes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context

import torch

from inference.analyse import Model, load_model, measure_boxes
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
class ScoredStrip:
    """A strip by name, without its pixels; all coordinates in strip pixels."""

    name: str
    kind: str
    truths: tuple[CycleTruth, ...]
    values: Mapping[str, float]
    """True values, mean over the true cycles; empty for what is no left ventricle."""
    result: StripResult
    boxes: tuple[CycleBox, ...]
    """Every box of the detector before any threshold, most probable first."""
    source: Source

    @property
    def is_lv(self) -> bool:
        """True for a left ventricle at chordal level."""
        return self.kind == LEFT_VENTRICLE


@dataclass(frozen=True, kw_only=True)
class EvalRuntime:
    """Which weights, on which processor, by how many processes."""

    weights: str = ""
    """Weights folder; empty: the shipped ones."""
    device: str = "auto"
    workers: int = 2
    """On CPU each worker computes with one thread; on CUDA one process is enough."""


def score_strip(strip: LabelledStrip, source: Source, model: Model) -> ScoredStrip:
    """The model's answer to one strip that came from `source`."""
    boxes = detect(model.detector, strip.strip, model.device)
    return ScoredStrip(
        name=strip.name,
        kind=strip.kind,
        truths=strip.cycles,
        values=mean_values(strip),
        result=measure_boxes(strip.strip, boxes, model),
        boxes=tuple(boxes),
        source=source,
    )


def score_all(
    sources: Iterable[Source], runtime: EvalRuntime, pool: Executor, *, accepts: Rule = everything
) -> Iterator[ScoredStrip]:
    """Answers to the strips that `accepts` passes, in the order of the sources.

    Sources are taken a batch at a time, so that a caller may stop early. What comes back keeps the
    caller's source, not the worker's copy of its pixels.
    """
    remaining = iter(sources)
    work = partial(_score_in_worker, runtime=runtime, accepts=accepts)
    while batch := list(islice(remaining, BATCH)):
        for source, scored in zip(batch, pool.map(work, batch, chunksize=4), strict=True):
            if scored is not None:
                yield replace(scored, source=source)


def worker_pool(runtime: EvalRuntime) -> ProcessPoolExecutor:
    """Processes that load the model when first asked.

    They are spawned: a process forked after torch has computed may wait for ever.
    """
    return ProcessPoolExecutor(runtime.workers, mp_context=get_context("spawn"))


def _score_in_worker(source: Source, *, runtime: EvalRuntime, accepts: Rule) -> ScoredStrip | None:
    strip = source()
    return score_strip(strip, source, single_threaded(runtime)) if accepts(strip) else None


@cache
def single_threaded(runtime: EvalRuntime) -> Model:
    """The model of this process, loaded once: two torch threads on a busy machine wait for each other."""
    model = load_model(runtime.weights, runtime.device)
    torch.set_num_threads(1)
    return model
