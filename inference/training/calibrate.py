"""`echonode train calibrate`: thresholds and intervals from validation phantoms, written into the records.

Every phantom is looked at once, with open gates; thresholds are chosen and intervals fitted afterwards.
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
from inference.training.data import VALIDATION_SEEDS
from inference.training.residuals import Answer, fit_residuals
from inference.training.thresholds import Thresholds, choose, least_certainty, measured_share
from inference.training.verdicts import Named, Seen, see_all

FIRST_SEED = VALIDATION_SEEDS + 500_000
"""Apart from those that training validates on: its best checkpoint was chosen by them."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many phantoms are looked at, and by how many processes."""

    strips: int
    """Left ventricles."""
    lookalikes: int
    """Strips of all other kinds together, as many of each."""
    workers: int = 2


def calibrate(folder: Path, plan: Plan) -> tuple[WeightsRecord, WeightsRecord]:
    """Both records of `folder` with thresholds, intervals and the figures they were chosen by.

    Raises:
        WeightsMismatch: there are no usable weights in `folder`.
        ValueError: too few left ventricles are measured to fit anything.
    """
    seen = see_all(folder, named_phantoms(plan), plan.workers)
    chosen = choose(seen)
    certainty = least_certainty(seen, chosen)
    answers = answers_of(seen, chosen, certainty)
    basis = {"calibration": {"strips": plan.strips, "lookalikes": plan.lookalikes, "first_seed": FIRST_SEED}}
    cycles = _updated(
        folder,
        "cycles",
        basis,
        measured=gate_figures(seen, chosen, certainty),
        threshold=chosen.detector,
    )
    landmarks = _updated(
        folder,
        "landmarks",
        basis,
        measured=errors(answers),
        heart_threshold=chosen.heart,
        certainty_threshold=certainty,
        residuals=fit_residuals(answers),
    )
    for record in (cycles, landmarks):
        write_record(folder, record)
    return cycles, landmarks


def named_phantoms(plan: Plan) -> list[Named]:
    """Seeds and kinds: left ventricles, then every other kind in turn."""
    kinds = list(LOOKALIKES)
    hearts = [(FIRST_SEED + number, LEFT_VENTRICLE) for number in range(plan.strips)]
    others = [
        (FIRST_SEED + number // len(kinds), kinds[number % len(kinds)]) for number in range(plan.lookalikes)
    ]
    return hearts + others


def answers_of(seen: Sequence[Seen], chosen: Thresholds, certainty: float) -> list[Answer]:
    """The left ventricles that are measured at the chosen thresholds."""
    found = [(one.measured(chosen.detector, chosen.heart, certainty), one.truth) for one in seen if one.truth]
    return [Answer(cycles=cycles, truth=truth) for cycles, truth in found if cycles]


def gate_figures(seen: Sequence[Seen], chosen: Thresholds, certainty: float) -> dict[str, float]:
    """Coverage, hearts that only a rule refused, and false measures of all other kinds and of each."""
    gates = chosen.detector, chosen.heart, certainty
    hearts, others = [one for one in seen if one.truth], [one for one in seen if not one.is_lv]
    refused = [bool(one.admitted(*gates)) and not one.measured(*gates) for one in hearts]
    figures = {
        "coverage": measured_share(hearts, *gates),
        "refused_by_rules": float(np.mean(refused)),
        "false_measures": measured_share(others, *gates),
    }
    for kind in sorted({one.kind for one in seen} - {LEFT_VENTRICLE}):
        alike = [one for one in seen if one.kind == kind]
        figures[f"false_measures_{kind}"] = measured_share(alike, *gates)
    return figures


def errors(answers: Sequence[Answer]) -> dict[str, float]:
    """Root mean square error of every value, mean over the beats of a strip."""
    off = [
        {name: value - answer.truth[name] for name, value in means(answer.cycles).items()}
        for answer in answers
    ]
    return {name: float(np.sqrt(np.mean([one[name] ** 2 for one in off]))) for name in off[0]} if off else {}


def _updated(
    folder: Path, network: str, basis: Mapping[str, Any], *, measured: Mapping[str, float], **fields: Any
) -> WeightsRecord:
    """The record in `folder` with more known of it: the weights themselves stay what they are."""
    _, record = load_weights(folder, network, DETECTOR_INPUT if network == "cycles" else CROP_INPUT)
    known = {
        "training": {**record.training, **basis},
        "measured": {**record.measured, **measured},
        **fields,
    }
    return record.model_copy(update=known)
