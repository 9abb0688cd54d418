"""The training commands as a person runs them: real processes, real files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.builders import image_2d, save

pytestmark = pytest.mark.timeout(900)


def echonode(*words: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """One run of the command."""
    command = [sys.executable, "-m", "dicom_node.cli.app", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def test_weights_can_be_trained_and_used(tmp_path: Path) -> None:
    """Both training commands mix a data set in and write weights that `measure` accepts, however bad."""
    made = echonode("phantom", "--out", tmp_path / "set", "--count", "3", "--kind", "LV", "--as-dataset")
    assert made.returncode == 0, made.stderr
    small = ("--steps", "2", "--batch", "2", "--held-out", "12", "--data", tmp_path / "set")
    for network in ("cycles", "landmarks"):
        run = echonode("train", network, *small, "--out", tmp_path, timeout=280)
        assert run.returncode == 0, run.stderr
        training = json.loads((tmp_path / f"{network}.json").read_text())["training"]
        assert (training["steps"], training["data"]) == (2, ["phantom", "set"])

    first = json.loads((tmp_path / "landmarks.json").read_text())
    known = ("--update", tmp_path, "--detector", tmp_path)
    again = echonode("train", "landmarks", *small, *known, "--out", tmp_path / "second", timeout=280)
    assert again.returncode == 0, again.stderr
    second = json.loads((tmp_path / "second" / "landmarks.json").read_text())
    teacher = json.loads((tmp_path / "cycles.json").read_text())
    assert second["training"]["updated_from"]["sha256"] == first["sha256"] != second["sha256"]
    assert first["training"]["mistakes_of"] is None
    assert second["training"]["mistakes_of"] == teacher["sha256"]

    image = save(image_2d(), tmp_path / "2d.dcm")
    run = echonode("measure", image, "--json", "--weights", tmp_path)

    assert run.returncode == 0, run.stderr
    shipped = echonode("measure", image, "--json")
    assert json.loads(run.stdout)["model"]["sha256"] != json.loads(shipped.stdout)["model"]["sha256"]
