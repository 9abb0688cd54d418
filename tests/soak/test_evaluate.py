"""`echonode evaluate` as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.scored_strips import labelled

from inference.training.datasets.write import write_dataset

pytestmark = pytest.mark.timeout(240)


def evaluate(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """One run of the command."""
    command = [sys.executable, "-m", "dicom_node.cli.app", "evaluate", "--device", "cpu", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_a_report_is_written(tmp_path: Path) -> None:
    """Phantoms are scored by several processes; page and document land in the folder."""
    run = evaluate("--count", "2", "--lookalikes", "2", "--range", "full", "--out", tmp_path, "--json")

    assert run.returncode == 0, run.stderr
    document = json.loads((tmp_path / "report.json").read_text())
    assert document == json.loads(run.stdout)
    assert document["left_ventricles"]["measured"]["of"] == document["others"]["measured"]["of"] == 2
    assert "</html>" in (tmp_path / "report.html").read_text()


def test_a_data_set_is_scored(tmp_path: Path) -> None:
    """Traced strips replace phantoms; absent real pictures are said, not an error."""
    write_dataset(tmp_path / "data", [labelled(), labelled(name="IVC", kind="IVC", cycles=0)])

    run = evaluate("--data", tmp_path / "data", "--against", "printed", "--real", tmp_path, "--json")

    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert document["left_ventricles"]["measured"]["of"] == document["others"]["measured"]["of"] == 1
    assert document["real_pictures"] == []
    assert "no real pictures scored" in run.stderr


def test_weights_are_compared_on_phantoms_only(tmp_path: Path) -> None:
    """Rather than to leave the comparison out in silence, the command refuses a data set beside it."""
    run = evaluate("--data", tmp_path, "--beside", tmp_path)

    assert run.returncode == 2
    assert "not on --data" in run.stderr


def test_a_folder_that_is_no_data_set_is_named(tmp_path: Path) -> None:
    """What is wrong is said in a sentence, without a traceback."""
    run = evaluate("--data", tmp_path)

    assert run.returncode == 1
    assert "annotations.json" in run.stderr
    assert "Traceback" not in run.stderr
