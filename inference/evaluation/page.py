"""The report as one self-contained HTML page."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from inference.evaluation.agreement import QUANTITIES, Agreement, Rate
from inference.evaluation.by_manner import COLUMNS, MannerFigures, error_text, manner_sheet
from inference.evaluation.cases import HEADINGS, falsely_measured, missed, worst_measured
from inference.evaluation.evaluate import Evaluation
from inference.evaluation.figures import Figures
from inference.evaluation.plots import bland_altman_png, reliability_png
from inference.evaluation.printed import PictureScore
from inference.evaluation.units import POINTS, shown

TEMPLATE = "report.html"


def page(
    evaluation: Evaluation,
    scores: Sequence[PictureScore],
    pictures_png: Mapping[str, bytes],
    *,
    made: datetime,
) -> str:
    """The whole page; `pictures_png` are the annotated real pictures by file name."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(embedded=embedded, percent=percent)
    template = environment.from_string(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
    return template.render(
        evaluation=evaluation,
        figures=evaluation.figures,
        made=made,
        values=[value_row(name, one) for name, one in evaluation.figures.agreement.items()],
        manners=[manner_row(name, one) for name, one in evaluation.by_manner.items()],
        sheet=manner_sheet(evaluation.scored),
        plots=plots(evaluation.figures),
        headings=HEADINGS,
        worst=worst_measured(evaluation.scored),
        missed=missed(evaluation.scored),
        false_measures=falsely_measured(evaluation.scored),
        real=[picture_entry(score, pictures_png) for score in scores],
    )


def embedded(png: bytes) -> str:
    """A picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def percent(rate: Rate) -> str:
    """A share with its counts and 95 % interval, as text."""
    if rate.share is None:
        return "—"
    low, high = (100 * edge for edge in rate.ci95)
    return f"{100 * rate.share:.1f} % ({rate.hits} of {rate.of}; 95 % interval {low:.1f} to {high:.1f})"


def plots(figures: Figures) -> Mapping[str, bytes]:
    """The plots by name; none if nothing was measured."""
    if not figures.agreement:
        return {}
    return {"bland_altman": bland_altman_png(figures), "reliability": reliability_png(figures)}


def value_row(name: str, one: Agreement) -> Mapping[str, str]:
    """One row of the table of errors."""
    label, unit, factor = shown(name)
    low, high = (factor * limit for limit in one.limits)
    return {
        "label": label,
        "unit": unit,
        "count": str(one.count),
        "mae": f"{factor * one.mae:.2f}",
        "bias": f"{factor * one.bias:+z.2f}",
        "limits": f"{low:+z.2f} … {high:+z.2f}",
        "inside": percent(one.inside_ci95),
    }


def manner_row(name: str, one: MannerFigures) -> Mapping[str, Any]:
    """One row of the table of manners."""
    cells = [error_text(quantity, one) for quantity in COLUMNS]
    return {"name": name.replace("_", " "), "measured": percent(one.coverage), "cells": cells}


def picture_entry(score: PictureScore, pictures_png: Mapping[str, bytes]) -> Mapping[str, Any]:
    """One real picture: outcome, values, printed values and the annotated picture."""
    result = score.result
    return {
        "name": score.picture.name,
        "kind": score.picture.kind,
        "outcome": outcome(score),
        "beats": f"{len(result.used)} of {len(result.cycles)} measured beats averaged",
        "measured": result.measured,
        "reported": [reported_row(name, score) for name in QUANTITIES if name in result.measurements],
        "free_beats": score.beats_compared,
        "png": pictures_png.get(score.picture.name),
    }


def outcome(score: PictureScore) -> str:
    """Measured, counted or refused, in words."""
    if score.counted is not None:
        expected = f", a human about {score.picture.beats}" if score.picture.beats else ""
        seen = f"{score.counted.beats} beats at the rhythm of {len(score.counted.boxes)} cycles"
        return f"no scale: {seen}{expected}; no numbers claimed"
    if score.result.measured:
        return "measured"
    return f"refused: {score.result.reason} ({score.result.detail})"


def reported_row(name: str, score: PictureScore) -> Mapping[str, str]:
    """A reported value with its interval, and the printed value where there is one."""
    label, unit, factor = shown(name)
    value, pair = score.result.measurements[name], score.compared.get(name)
    low, high = (factor * edge for edge in value.ci95)
    return {
        "label": label,
        "unit": "%" if unit == POINTS else unit,
        "value": f"{factor * value.value:.1f}",
        "interval": f"{low:.1f} … {high:.1f}",
        "free": f"{factor * pair.found:.1f}" if pair else "",
        "printed": f"{factor * pair.printed:.1f}" if pair else "",
        "difference": f"{factor * pair.difference:+z.1f}" if pair else "",
    }
