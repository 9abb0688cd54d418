"""The commands as a person runs them: processes of their own, real files; one is started as a person does."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.builders import image_2d, save, vendor_sr
from support.fork_server import SEARCH_PATH
from support.node_processes import COMMAND, echonode
from support.pace import slowness

REASONS = {
    "no_mmode_region",
    "uncalibrated",
    "no_pixel_data",
    "undecodable",
    "too_large",
    "no_cycle",
    "implausible",
    "low_agreement",
    "not_ultrasound",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with phantoms of several kinds, a 2D image and a report."""
    folder = tmp_path_factory.mktemp("study")
    made = echonode("phantom", "--out", folder, "--count", "4", "--seed", "3100000", "--kind", "LV")
    assert made.returncode == 0, made.stderr
    assert echonode("phantom", "--out", folder, "--seed", "7", "--kind", "noise").returncode == 0
    save(image_2d(), folder / "2d.dcm")
    save(vendor_sr(), folder / "sr.dcm")
    (folder / "notes.txt").write_text("not DICOM, and not named: passed over")
    return folder


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pictures of `document`."""
    return tmp_path_factory.mktemp("overlays")


@pytest.fixture(scope="module")
def document(study: Path, overlays: Path) -> dict[str, Any]:
    """What `measure --json` prints about a named file that is no DICOM, and about the study: exit 1."""
    bad = overlays / "bad.dcm"
    bad.write_bytes(b"this is not DICOM")
    run = echonode("measure", bad, study, "--json", "--overlay", overlays)
    assert run.returncode == 1, run.stderr
    printed: dict[str, Any] = json.loads(run.stdout)
    return printed


def test_measure_prints_the_agreed_document(document: dict[str, Any], overlays: Path) -> None:
    """`measure --json` gives one entry per image, numbers or a known reason, and overlays as PNG.

    The file before them that cannot be read has cost exit 1, and none of the others.
    """
    assert set(document["model"]) == {"name", "version", "sha256"}
    by_name = {Path(image["file"]).name: image for image in document["images"]}
    assert len(by_name) == 7
    assert by_name["2d.dcm"]["reason"] == "no_mmode_region"
    assert by_name["sr.dcm"]["reason"] == "not_ultrasound"
    assert by_name["noise_7.dcm"]["reason"] == "no_cycle"
    measured = [image for image in document["images"] if image["status"] == "measured"]
    assert len(measured) >= 2
    assert all(image["reason"] in REASONS for image in document["images"] if image not in measured)
    assert len(list(overlays.glob("*.png"))) == len(measured)


def test_measured_numbers_are_near_the_truth_beside_the_file(document: dict[str, Any]) -> None:
    """LVIDd of most measured phantoms is within 2 mm of the truth: the same unit, the same frame."""
    off_cm = []
    for image in document["images"]:
        if image["status"] != "measured":
            continue
        truth = json.loads(Path(image["file"]).with_suffix(".json").read_text())["measurements"]
        found = image["measurements"]["LVIDd_cm"]
        assert found["ci95"][0] < found["value"] < found["ci95"][1]
        off_cm.append(abs(found["value"] - truth["LVIDd_cm"]))
        assert image["cm_per_px"] > 0
        x0, y0, x1, y1 = image["region_px"]
        for cycle in image["cycles"]:
            for x, y in cycle["landmarks_px"]["diastole"] + cycle["landmarks_px"]["systole"]:
                assert x0 <= x <= x1
                assert y0 <= y <= y1
    assert np.median(off_cm) < 0.2


@pytest.mark.alone
def test_measure_starts_quickly(tmp_path: Path) -> None:
    """One image is measured by the real command, from start to exit, in a few seconds."""
    path = save(image_2d(), tmp_path / "2d.dcm")
    command = [sys.executable, "-m", COMMAND, "measure", str(path), "--json"]
    started = time.monotonic()
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": SEARCH_PATH})

    assert time.monotonic() - started < 15 * slowness()


def test_the_demo_ends_well() -> None:
    """`echonode demo` is exit 0: SR and overlay arrived and say what they should."""
    run = echonode("demo", timeout_s=180)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "SR at the PACS" in run.stdout
    assert "delivery.delivered" in run.stdout


def test_a_phantom_in_a_manner(tmp_path: Path) -> None:
    """The manner goes with the truth; one that there is not is refused with those that there are."""
    made = echonode("phantom", "--out", tmp_path, "--kind", "LV", "--manner", "dark_septum")
    refused = echonode("phantom", "--out", tmp_path, "--manner", "invisible")

    assert made.returncode == 0, made.stderr
    assert json.loads((tmp_path / "LV_0.json").read_text())["manners"] == ["dark_septum"]
    assert refused.returncode == 2
    assert "dark_septum" in refused.stderr
