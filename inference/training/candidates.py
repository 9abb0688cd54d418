"""What both networks find on a validation phantom, and what would be measured at given thresholds."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.progress import track

from inference.analyse import Model, load_model, locate_all, probable_cycles
from inference.errors import Implausible, LowAgreement, NoCycle
from inference.labelled import LEFT_VENTRICLE, LabelledStrip, mean_values
from inference.measure.acceptance import measured_cycle, selected
from inference.measure.plausibility import agreeing
from inference.networks.detector import detect
from inference.phantom.strip import make_phantom
from inference.types import CycleMeasurement

FLOOR = 0.05
"""Least detector probability of a located cycle; no threshold is set lower."""


@dataclass(frozen=True, kw_only=True)
class CandidateCycle:
    """One located cycle: probabilities of both networks, and its values (None if refused)."""

    probability: float
    lv_probability: float
    certainty: float
    measurement: CycleMeasurement | None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The located cycles of one strip, before any threshold."""

    kind: str
    cycles: tuple[CandidateCycle, ...]
    truth: Mapping[str, float]
    """True values, mean over the true cycles; empty where there is nothing to measure."""
    manners: tuple[str, ...] = ()
    """In which a phantom was drawn."""

    @property
    def is_lv(self) -> bool:
        """True for a left ventricle at chordal level."""
        return self.kind == LEFT_VENTRICLE

    def selected(self, threshold: float, lv_threshold: float, certainty: float = 0.0) -> list[CandidateCycle]:
        """The cycles that both networks take for a left ventricle's at these thresholds."""
        probable = [one for one in self.cycles if one.probability >= threshold]
        scores = [(one.probability, one.lv_probability) for one in probable]
        lv_cycles = [probable[i] for i in selected(scores, lv_threshold)]
        return [one for one in lv_cycles if one.certainty >= certainty]

    def measured(
        self, threshold: float, lv_threshold: float, certainty: float = 0.0
    ) -> list[CycleMeasurement]:
        """The cycles that would be averaged at these thresholds; none for a refusal."""
        kept = [
            one.measurement for one in self.selected(threshold, lv_threshold, certainty) if one.measurement
        ]
        if not kept:
            return []
        try:
            return [kept[i] for i in agreeing(kept)]
        except LowAgreement:
            return []


def candidate_of(strip: LabelledStrip, model: Model) -> Candidate:
    """Run both networks on one strip, for every cycle of at least `FLOOR`."""
    found = detect(model.detector, strip.strip, model.device)
    try:
        boxes = probable_cycles(strip.strip, found, FLOOR)
    except NoCycle:
        boxes = []
    cycles = []
    for one in locate_all(strip.strip, boxes, model):
        try:
            measurement = measured_cycle(strip.strip, one)
        except (Implausible, LowAgreement):
            measurement = None
        cycles.append(
            CandidateCycle(
                probability=one.box.probability,
                lv_probability=one.samples.mean_lv_probability,
                certainty=one.samples.mean_certainty,
                measurement=measurement,
            )
        )
    return Candidate(kind=strip.kind, cycles=tuple(cycles), truth=mean_values(strip), manners=strip.manners)


PhantomId = tuple[int, str, tuple[str, ...]]
"""Seed, kind and manners."""


def candidates_of(folder: Path, phantoms: Sequence[PhantomId], workers: int) -> list[Candidate]:
    """Run both networks on every phantom, by `workers` processes of one thread each."""
    # Spawned: a process forked after torch has computed may deadlock.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        candidates: Iterable[Candidate] = pool.map(
            partial(_candidate_in_worker, folder), phantoms, chunksize=8
        )
        return list(track(candidates, description="looking at phantoms", total=len(phantoms)))


def _candidate_in_worker(folder: Path, phantoms: PhantomId) -> Candidate:
    return candidate_of(make_phantom(*phantoms), _worker_model(folder))


@cache
def _worker_model(folder: Path) -> Model:
    """The model of this worker process, loaded once."""
    model = load_model(str(folder), "cpu")
    torch.set_num_threads(1)
    return model
