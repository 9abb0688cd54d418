"""`echonode train calibrate`: thresholds and intervals from validation phantoms, for the records.

Both networks run once on every phantom, without thresholds; thresholds and intervals are fitted to that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inference.labelled import LEFT_VENTRICLE
from inference.measure.intervals import means
from inference.networks.preprocessing import CROP_INPUT, DETECTOR_INPUT
from inference.networks.weights import WeightsRecord, load_weights, write_record
from inference.phantom.lookalikes import LOOKALIKES
from inference.phantom.manners import MANNERS, some_manners
from inference.training.candidates import Candidate, PhantomId, candidates_of
from inference.training.data import VALIDATION_SEEDS
from inference.training.residuals import ValidationStrip, fit_residuals, left_out_coverage
from inference.training.thresholds import Thresholds, choose, least_certainty, measured_share

FIRST_SEED = VALIDATION_SEEDS + 500_000
"""Not the validation seeds of training: the best checkpoint was chosen by those."""


@dataclass(frozen=True, kw_only=True)
class CalibrationPlan:
    """Number of phantoms and of processes."""

    strips: int
    """Left ventricles."""
    lookalikes: int
    """Strips of all other kinds together, each kind equally often."""
    workers: int = 2


def calibrate(folder: Path, plan: CalibrationPlan) -> tuple[WeightsRecord, WeightsRecord]:
    """Write thresholds, intervals and their figures into both records of `folder`.

    Raises:
        WeightsMismatch: there are no valid weights in `folder`.
        ValueError: too few left ventricles are measured to fit anything.
    """
    candidates = candidates_of(folder, phantom_ids(plan), plan.workers)
    chosen = choose(candidates)
    certainty = least_certainty(candidates, chosen)
    measured = validation_strips(candidates, chosen, certainty)
    basis = {"calibration": {"strips": plan.strips, "lookalikes": plan.lookalikes, "first_seed": FIRST_SEED}}
    cycles = _updated(
        folder,
        "cycles",
        basis,
        measured=acceptance_figures(candidates, chosen, certainty),
        threshold=chosen.detector,
    )
    landmarks = _updated(
        folder,
        "landmarks",
        basis,
        measured={**errors(measured), **left_out_coverage(measured)},
        heart_threshold=chosen.lv_probability,
        certainty_threshold=certainty,
        residuals=fit_residuals(measured),
    )
    for record in (cycles, landmarks):
        write_record(folder, record)
    return cycles, landmarks


def phantom_ids(plan: CalibrationPlan) -> list[PhantomId]:
    """Left ventricles in every manner in turn, then every other kind, of consecutive seeds."""
    kinds = list(LOOKALIKES)
    manners = [(), *((name,) for name in MANNERS)]
    lv_strips: list[PhantomId] = [
        (FIRST_SEED + number, LEFT_VENTRICLE, manners[number % len(manners)]) for number in range(plan.strips)
    ]
    seeds = [FIRST_SEED + number // len(kinds) for number in range(plan.lookalikes)]
    return lv_strips + [
        (seed, kinds[number % len(kinds)], tuple(sorted(some_manners(seed))))
        for number, seed in enumerate(seeds)
    ]


def validation_strips(
    candidates: Sequence[Candidate], chosen: Thresholds, certainty: float
) -> list[ValidationStrip]:
    """The left ventricles that are measured at the chosen thresholds."""
    found = [
        (one.measured(chosen.detector, chosen.lv_probability, certainty), one)
        for one in candidates
        if one.truth
    ]
    return [
        ValidationStrip(cycles=cycles, truth=one.truth, manners=one.manners)
        for cycles, one in found
        if cycles
    ]


def acceptance_figures(
    candidates: Sequence[Candidate], chosen: Thresholds, certainty: float
) -> dict[str, float]:
    """Coverage, left ventricles refused by plausibility alone, false measures in total and per kind."""
    thresholds = chosen.detector, chosen.lv_probability, certainty
    lv_strips, others = [one for one in candidates if one.truth], [one for one in candidates if not one.is_lv]
    refused = [bool(one.selected(*thresholds)) and not one.measured(*thresholds) for one in lv_strips]
    figures = {
        "coverage": measured_share(lv_strips, *thresholds),
        "refused_by_rules": float(np.mean(refused)),
        "false_measures": measured_share(others, *thresholds),
    }
    for kind in sorted({one.kind for one in candidates} - {LEFT_VENTRICLE}):
        alike = [one for one in candidates if one.kind == kind]
        figures[f"false_measures_{kind}"] = measured_share(alike, *thresholds)
    return figures


def errors(measured: Sequence[ValidationStrip]) -> dict[str, float]:
    """Root mean square error of every value, mean over the cycles of a strip."""
    off = [{name: value - one.truth[name] for name, value in means(one.cycles).items()} for one in measured]
    return {name: float(np.sqrt(np.mean([one[name] ** 2 for one in off]))) for name in off[0]} if off else {}


def _updated(
    folder: Path, network: str, basis: Mapping[str, Any], *, measured: Mapping[str, float], **fields: Any
) -> WeightsRecord:
    """The record in `folder` with these additions; the weights themselves stay the same."""
    _, record = load_weights(folder, network, DETECTOR_INPUT if network == "cycles" else CROP_INPUT)
    known = {
        "training": {**record.training, **basis},
        "measured": {**record.measured, **measured},
        **fields,
    }
    return record.model_copy(update=known)
