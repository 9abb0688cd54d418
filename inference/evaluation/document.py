"""The figures as JSON values: report.json, and the output of `echonode evaluate --json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from inference.evaluation.agreement import NOMINAL, Agreement, Rate
from inference.evaluation.beside import Beside
from inference.evaluation.by_manner import MannerFigures
from inference.evaluation.evaluate import Evaluation
from inference.evaluation.figures import Figures
from inference.evaluation.printed import PictureScore
from inference.evaluation.targets import Target


def as_document(evaluation: Evaluation, scores: Sequence[PictureScore] = ()) -> dict[str, Any]:
    """All figures; lengths in cm, volumes in ml, fractions in percent, time in s."""
    figures = evaluation.figures
    return {
        "model": asdict(evaluation.model),
        "strips": evaluation.strips,
        "targets": [target_entry(target) for target in evaluation.targets],
        "cycles": {
            "average_precision_iou50": figures.average_precision,
            "best_box_is_a_cycle": rate_entry(figures.best_box),
            "probability_reliability": [asdict(one) for one in figures.probability_reliability],
        },
        "left_ventricles": lv_entry(figures),
        "by_manner": {name: manner_entry(one) for name, one in evaluation.by_manner.items()},
        "beside": beside_entry(evaluation.beside) if evaluation.beside else None,
        "others": {
            "measured": rate_entry(figures.false_measures),
            "by_kind": {kind: rate_entry(rate) for kind, rate in figures.false_measures_by_kind.items()},
        },
        "seconds_per_strip": evaluation.timing and asdict(evaluation.timing),
        "real_pictures": [picture_entry(score) for score in scores],
    }


def target_entry(target: Target) -> Mapping[str, Any]:
    """One target as text, and whether it was met (null: unknown)."""
    return {"name": target.name, "required": target.required, "found": target.found, "met": target.met}


def lv_entry(figures: Figures) -> Mapping[str, Any]:
    """Coverage, refusals and errors on left ventricles."""
    return {
        "measured": rate_entry(figures.coverage),
        "refusals": dict(figures.refusals),
        "values": {name: agreement_entry(one) for name, one in figures.agreement.items()},
        "interval_reliability": {"nominal": list(NOMINAL), "observed": dict(figures.interval_reliability)},
    }


def manner_entry(one: MannerFigures) -> Mapping[str, Any]:
    """Coverage and errors on the left ventricles of one manner."""
    values = {name: agreement_entry(each) for name, each in one.agreement.items()}
    return {"measured": rate_entry(one.coverage), "values": values}


def beside_entry(beside: Beside) -> Mapping[str, Any]:
    """The other weights, and the absolute errors minus theirs on the same strips."""
    return {
        "model": asdict(beside.model),
        "left_ventricles_measured": rate_entry(beside.coverage),
        "others_measured": rate_entry(beside.false_measures),
        "differences": {
            group: {name: {**asdict(one), "verdict": one.verdict} for name, one in found.items()}
            for group, found in beside.differences.items()
        },
    }


def rate_entry(rate: Rate) -> Mapping[str, Any]:
    """A share with its counts and 95 % interval."""
    return {"share": rate.share, "hits": rate.hits, "of": rate.of, "ci95": list(rate.ci95)}


def agreement_entry(one: Agreement) -> Mapping[str, Any]:
    """Errors of one quantity in its own unit."""
    return {
        "count": one.count,
        "mae": one.mae,
        "bias": one.bias,
        "limits": list(one.limits),
        "inside_ci95": rate_entry(one.inside_ci95),
    }


def picture_entry(score: PictureScore) -> Mapping[str, Any]:
    """Result of one real picture, and the printed values beside those of beats without calipers."""
    result = score.result
    return {
        "file": score.picture.name,
        "kind": score.picture.kind,
        "status": result.status,
        "reason": result.reason,
        "detail": result.detail,
        "measurements": {name: asdict(value) for name, value in result.measurements.items()},
        "beats_without_calipers": score.beats_compared,
        "against_printed": {
            name: {"found": pair.found, "printed": pair.printed, "difference": pair.difference}
            for name, pair in score.compared.items()
        },
        "beats_counted": None if score.counted is None else score.counted.beats,
        "cycles_seen": None if score.counted is None else len(score.counted.boxes),
        "beats_expected": score.picture.beats,
    }
