"""Strips with their truth and the model's result, computed by several processes."""

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
"""Makes or loads a strip when called; thousands of strips would not fit into memory."""
Rule = Callable[[LabelledStrip], bool]
"""True for a strip that counts."""
BATCH = 64
"""Strips handed to the worker processes at a time."""


def everything(_strip: LabelledStrip) -> bool:
    """The rule that accepts every strip."""
    return True


@dataclass(frozen=True, kw_only=True)
class ScoredStrip:
    """Truth and result of one strip, without its pixels; coordinates in strip pixels."""

    name: str
    kind: str
    truths: tuple[CycleTruth, ...]
    values: Mapping[str, float]
    """True values, mean over the true cycles; empty for other kinds than left ventricles."""
    result: StripResult
    boxes: tuple[CycleBox, ...]
    """Boxes of the detector before any threshold, most probable first."""
    source: Source
    manners: tuple[str, ...] = ()
    """In which a phantom was drawn."""

    @property
    def is_lv(self) -> bool:
        """True for a left ventricle at chordal level."""
        return self.kind == LEFT_VENTRICLE


@dataclass(frozen=True, kw_only=True)
class EvalRuntime:
    """Weights, device and number of processes of an evaluation."""

    weights: str = ""
    """Weights folder; empty: the shipped ones."""
    device: str = "auto"
    workers: int = 2
    """Processes with one torch thread each on a CPU; on CUDA one is enough."""


def score_strip(strip: LabelledStrip, source: Source, model: Model) -> ScoredStrip:
    """Measure one strip that came from `source`."""
    boxes = detect(model.detector, strip.strip, model.device)
    return ScoredStrip(
        name=strip.name,
        kind=strip.kind,
        truths=strip.cycles,
        values=mean_values(strip),
        result=measure_boxes(strip.strip, boxes, model),
        boxes=tuple(boxes),
        source=source,
        manners=strip.manners,
    )


def score_all(
    sources: Iterable[Source], runtime: EvalRuntime, pool: Executor, *, accepts: Rule = everything
) -> Iterator[ScoredStrip]:
    """Measure the strips that `accepts` passes, in the order of the sources.

    Sources are taken in batches, so that a caller may stop early. Each result keeps the caller's source
    instead of the worker's copy with its pixels.
    """
    remaining = iter(sources)
    work = partial(_score_in_worker, runtime=runtime, accepts=accepts)
    while batch := list(islice(remaining, BATCH)):
        for source, scored in zip(batch, pool.map(work, batch, chunksize=4), strict=True):
            if scored is not None:
                yield replace(scored, source=source)


def worker_pool(runtime: EvalRuntime) -> ProcessPoolExecutor:
    """Processes that load the model at their first strip.

    They are spawned, since a process forked after torch has computed may deadlock.
    """
    return ProcessPoolExecutor(runtime.workers, mp_context=get_context("spawn"))


def _score_in_worker(source: Source, *, runtime: EvalRuntime, accepts: Rule) -> ScoredStrip | None:
    strip = source()
    return score_strip(strip, source, single_threaded(runtime)) if accepts(strip) else None


@cache
def single_threaded(runtime: EvalRuntime) -> Model:
    """The model of this process, loaded once, with one torch thread since every core has a process."""
    model = load_model(runtime.weights, runtime.device)
    torch.set_num_threads(1)
    return model
