"""The figures as JSON values: report.json, and what `echonode evaluate --json` prints."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from inference.evaluation.agreement import NOMINAL, Agreement, Rate
from inference.evaluation.evaluate import Evaluation
from inference.evaluation.figures import Figures


def as_document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the pictures; lengths in cm, volumes in ml, fractions in percent, time in s."""
    figures = evaluation.figures
    return {
        "model": asdict(evaluation.model),
        "strips": evaluation.strips,
        "targets": [asdict(target) for target in evaluation.targets],
        "cycles": {
            "average_precision_iou50": figures.average_precision,
            "best_box_is_a_cycle": rate_entry(figures.best_box),
            "probability_reliability": [asdict(one) for one in figures.probability_reliability],
        },
        "left_ventricles": heart_entry(figures),
        "others": {
            "measured": rate_entry(figures.false_measures),
            "by_kind": {kind: rate_entry(rate) for kind, rate in figures.false_measures_by_kind.items()},
        },
        "seconds_per_strip": evaluation.timing and asdict(evaluation.timing),
    }


def heart_entry(figures: Figures) -> Mapping[str, Any]:
    """Coverage, refusals and errors on left ventricles."""
    return {
        "measured": rate_entry(figures.coverage),
        "refusals": dict(figures.refusals),
        "values": {name: agreement_entry(one) for name, one in figures.agreement.items()},
        "interval_reliability": {"nominal": list(NOMINAL), "observed": dict(figures.interval_reliability)},
    }


def rate_entry(rate: Rate) -> Mapping[str, Any]:
    """A share with its counts and its own 95 % interval."""
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
