"""Calibration with the shipped networks."""

import json
import shutil
from pathlib import Path

import pytest

from inference.analyse import load_model
from inference.measure.intervals import Residuals
from inference.networks.weights import SHIPPED
from inference.training import residuals as fitting
from inference.training.calibrate import CalibrationPlan, calibrate

PLAN = CalibrationPlan(strips=8, lookalikes=18, workers=1)


def test_calibrating_the_shipped_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records learn thresholds, intervals and figures; the weights stay and still load."""
    monkeypatch.setattr(fitting, "LEAST_STRIPS", 2)
    for file in SHIPPED.iterdir():
        shutil.copy(file, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.safetensors")}
    cycles, landmarks = calibrate(tmp_path, PLAN)
    model = load_model(str(tmp_path), "cpu")

    assert before == {file.name: file.read_bytes() for file in tmp_path.glob("*.safetensors")}
    assert (model.threshold, model.lv_threshold) == (cycles.threshold, landmarks.heart_threshold)
    assert model.residuals == landmarks.residuals != Residuals()
    assert {"coverage", "false_measures", "false_measures_mitral"} <= set(cycles.measured)
    assert landmarks.training["calibration"]["strips"] == PLAN.strips
    assert json.loads((tmp_path / "landmarks.json").read_text())["residuals"]["widen"]
