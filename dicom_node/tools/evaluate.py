"""`echonode evaluate`: figures against their targets, printed, as JSON, or as a report in a folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from dicom_node.process.clock import utc_now
from dicom_node.report.overlay import draw_overlay
from inference.errors import WeightsMismatch
from inference.evaluation.beside import Beside, difference_text
from inference.evaluation.by_manner import COLUMNS, MannerFigures, error_text
from inference.evaluation.document import as_document
from inference.evaluation.drawing import png, rows_png
from inference.evaluation.evaluate import Evaluation, evaluate, evaluate_beside, evaluate_dataset
from inference.evaluation.page import page
from inference.evaluation.printed import PictureScore, picture_targets, score_pictures
from inference.evaluation.sample import Plan
from inference.evaluation.scored_strips import EvalRuntime, single_threaded
from inference.evaluation.units import shown
from inference.training.datasets.errors import InvalidDataset
from inference.types import ModelIdentity

LABELS = [" ".join(shown(name)[:2]) for name in COLUMNS]
"""Headings of the tables by manner."""
VERDICTS: Mapping[bool | None, str] = {True: "[green]met", False: "[red]not met", None: "—"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Input besides phantoms, and the form of the output."""

    data: Path | None
    """Data set to evaluate instead of phantoms."""
    pictures: Path | None
    """Folder of real pictures to score."""
    out: Path | None
    """Folder for report.html, report.json and overlays; None: none are written."""
    as_json: bool
    beside: str = ""
    """Weights folder to compare with on the same phantoms; empty: none."""


def run_evaluate(plan: Plan, runtime: EvalRuntime, options: Options) -> int:
    """Evaluate, then print or write the figures; return 1 when weights or data set are unusable, else 0."""
    try:
        evaluation = evaluated(plan, runtime, options)
        scores = scored(options.pictures, runtime)
    except (WeightsMismatch, InvalidDataset) as error:
        Console(stderr=True).print(str(error), markup=False, soft_wrap=True)
        return 1
    evaluation = replace(evaluation, targets=(*evaluation.targets, *picture_targets(scores)))
    if options.out is not None:
        write_report(options.out, evaluation, scores)
    if options.as_json:
        print(json.dumps(as_document(evaluation, scores), indent=2))  # noqa: T201 - the document
    else:
        print_summary(evaluation)
    return 0


def evaluated(plan: Plan, runtime: EvalRuntime, options: Options) -> Evaluation:
    """Return the evaluation of a data set, of phantoms, or of phantoms with two models."""
    if options.data is not None:
        return evaluate_dataset(options.data, runtime)
    if options.beside:
        return evaluate_beside(plan, runtime, replace(runtime, weights=options.beside))
    return evaluate(plan, runtime)


def scored(folder: Path | None, runtime: EvalRuntime) -> list[PictureScore]:
    """Return the scores of the real pictures in a folder; an empty list without a folder or its files."""
    if folder is None:
        return []
    try:
        return score_pictures(folder, single_threaded(runtime))
    except FileNotFoundError as error:
        Console(stderr=True).print(f"no real pictures scored: {error.filename} is missing", soft_wrap=True)
        return []


def write_report(folder: Path, evaluation: Evaluation, scores: Sequence[PictureScore]) -> None:
    """Write report.html, report.json, and a PNG of each real picture with the results drawn on it."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {score.picture.name: picture_png(score, evaluation.model) for score in scores}
    for name, data in pictures.items():
        (folder / name).with_suffix(".png").write_bytes(data)
    html = page(evaluation, scores, pictures, made=utc_now())
    (folder / "report.html").write_text(html, encoding="utf-8")
    document = json.dumps(as_document(evaluation, scores), indent=2)
    (folder / "report.json").write_text(document + "\n", encoding="utf-8")


def picture_png(score: PictureScore, model: ModelIdentity) -> bytes:
    """Return a picture as PNG, with its overlay if it was measured, with cycle boxes if only counted."""
    rgb = score.picture.rgb()
    if score.counted is not None:
        return rows_png(np.asarray(Image.fromarray(rgb).convert("L")), score.counted.boxes)
    return png(Image.fromarray(draw_overlay(rgb, [score.result], model)))


def print_summary(evaluation: Evaluation) -> None:
    """Print the figures against their targets."""
    hearts, others = evaluation.figures.coverage.of, evaluation.figures.false_measures.of
    caption = f"{evaluation.strips}: {hearts} left ventricles, {others} others"
    table = Table("figure", "target", "found", "", caption=caption)
    for target in evaluation.targets:
        table.add_row(target.name, target.required, target.found, VERDICTS[target.met])
    Console().print(table)
    if len(evaluation.by_manner) > 1:
        Console().print(manner_table(evaluation.by_manner))
    if evaluation.beside is not None:
        Console().print(beside_table(evaluation.beside))


def beside_table(beside: Beside) -> Table:
    """Return the differences to other weights of each manner, as a table."""
    rates = [f"{rate.hits}/{rate.of}" for rate in (beside.coverage, beside.false_measures)]
    caption = (
        f"absolute error minus that of {beside.model.version} (95 % interval), which measured "
        f"{rates[0]} left ventricles and {rates[1]} others"
    )
    table = Table("manner", *LABELS, caption=caption)
    for name, found in beside.differences.items():
        table.add_row(name.replace("_", " "), *(difference_text(column, found) for column in COLUMNS))
    return table


def manner_table(found: Mapping[str, MannerFigures]) -> Table:
    """Return errors and share of truths inside their intervals of each manner, as a table."""
    table = Table(
        "manner",
        "measured",
        *LABELS,
        caption="mean absolute error (truths inside the 95 % interval; of so many where others withhold it)",
    )
    for name, one in found.items():
        cells = [error_text(column, one) for column in COLUMNS]
        table.add_row(name.replace("_", " "), f"{one.coverage.hits}/{one.coverage.of}", *cells)
    return table
