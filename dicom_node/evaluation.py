"""`echonode evaluate`: figures for people, as JSON, or as a report in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inference.errors import WeightsMismatch
from inference.evaluation.document import as_document
from inference.evaluation.evaluate import Evaluation, evaluate, evaluate_dataset
from inference.evaluation.judged import Machine
from inference.evaluation.sample import Plan
from inference.training.datasets.errors import InvalidDataset

VERDICTS: Mapping[bool | None, str] = {True: "[green]met", False: "[red]not met", None: "—"}


def run_evaluate(plan: Plan, machine: Machine, *, data: Path | None, as_json: bool) -> int:
    """Judges and prints; 1 when weights or data set are unusable."""
    try:
        evaluation = evaluate(plan, machine) if data is None else evaluate_dataset(data, machine)
    except (WeightsMismatch, InvalidDataset) as error:
        Console(stderr=True).print(str(error))
        return 1
    if as_json:
        print(json.dumps(as_document(evaluation), indent=2))  # noqa: T201 - the document
    else:
        print_summary(evaluation)
    return 0


def print_summary(evaluation: Evaluation) -> None:
    """The figures against their targets."""
    hearts, others = evaluation.figures.coverage.of, evaluation.figures.false_measures.of
    caption = f"{evaluation.strips}: {hearts} left ventricles, {others} others"
    table = Table("figure", "target", "found", "", caption=caption)
    for target in evaluation.targets:
        table.add_row(target.name, target.wanted, target.found, VERDICTS[target.met])
    Console().print(table)
