"""The commands as a person runs them: real processes, real files."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.builders import image_2d, save, vendor_sr

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


def echonode(*words: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """One run of the command."""
    command = [sys.executable, "-m", "dicom_node.cli.app", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


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


def test_measure_prints_the_agreed_document(study: Path, tmp_path: Path) -> None:
    """`measure --json` gives one entry per image, numbers or a known reason, and overlays as PNG."""
    run = echonode("measure", study, "--json", "--overlay", tmp_path / "overlays")

    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert set(document["model"]) == {"name", "version", "sha256"}
    by_name = {Path(image["file"]).name: image for image in document["images"]}
    assert len(by_name) == 7
    assert by_name["2d.dcm"]["reason"] == "no_mmode_region"
    assert by_name["sr.dcm"]["reason"] == "not_ultrasound"
    assert by_name["noise_7.dcm"]["reason"] == "no_cycle"
    measured = [image for image in document["images"] if image["status"] == "measured"]
    assert len(measured) >= 2
    assert all(image["reason"] in REASONS for image in document["images"] if image not in measured)
    assert len(list((tmp_path / "overlays").glob("*.png"))) == len(measured)


def test_measured_numbers_are_near_the_truth_beside_the_file(study: Path) -> None:
    """LVIDd of most measured phantoms is within 2 mm of the truth: the same unit, the same frame."""
    document = json.loads(echonode("measure", study, "--json").stdout)
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


def test_an_unreadable_file_is_exit_one_and_the_next_is_measured(study: Path, tmp_path: Path) -> None:
    """A named file that is no DICOM costs exit 1, and the others are still processed."""
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"this is not DICOM")

    run = echonode("measure", bad, study / "2d.dcm", "--json")

    assert run.returncode == 1
    assert [image["reason"] for image in json.loads(run.stdout)["images"]] == ["no_mmode_region"]


@pytest.mark.parametrize("words", [["measure"], ["measure", "/no/such/file"], ["nonsense"], ["phantom"]])
def test_wrong_usage_is_exit_two(words: list[str]) -> None:
    """Missing or unknown words are exit 2."""
    assert echonode(*words).returncode == 2


def test_bad_settings_are_exit_two_with_one_line_per_mistake(tmp_path: Path) -> None:
    """Each mistake in the settings file is one line: key, value, what is allowed."""
    config = tmp_path / "bad.toml"
    config.write_text('[node]\nae_title = "THIS TITLE IS TOO LONG"\nport = 99999\ncolour = "blue"\n')

    run = echonode("serve", "--config", config)

    assert run.returncode == 2
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 3
    assert any("node.ae_title" in line and "16" in line for line in lines)
    assert any("node.port" in line and "99999" in line for line in lines)
    assert any("node.colour" in line for line in lines)


def test_check_says_what_is_missing(tmp_path: Path) -> None:
    """`check` is exit 1 and names the destination that does not answer."""
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "{tmp_path / "data"}"\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 1\n'
    )

    run = echonode("check", "--config", config)

    assert run.returncode == 1
    assert "destination pacs" in run.stdout
    assert "failed" in run.stdout
    assert "database" in run.stdout


@pytest.mark.parametrize("words", [["audit"], ["audit", "verify"], ["replay", "1.2.3"], ["resend", "--dead"]])
def test_a_missing_database_is_one_sentence_and_exit_one(tmp_path: Path, words: list[str]) -> None:
    """Asking a node that has never run is answered, without a traceback."""
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n')

    run = echonode(*words, "--config", config)

    assert run.returncode == 1
    assert len(run.stderr.strip().splitlines()) == 1
    assert "Traceback" not in run.stderr


def test_measure_starts_quickly(study: Path) -> None:
    """One image is measured, from start to exit, in a few seconds."""
    started = time.monotonic()
    assert echonode("measure", study / "2d.dcm", "--json").returncode == 0

    assert time.monotonic() - started < 15


@pytest.mark.timeout(900)
def test_weights_can_be_trained_and_used(study: Path, tmp_path: Path) -> None:
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

    run = echonode("measure", study / "2d.dcm", "--json", "--weights", tmp_path)

    assert run.returncode == 0, run.stderr
    shipped = echonode("measure", study / "2d.dcm", "--json")
    assert json.loads(run.stdout)["model"]["sha256"] != json.loads(shipped.stdout)["model"]["sha256"]


def test_the_demo_ends_well() -> None:
    """`echonode demo` is exit 0: SR and overlay arrived and say what they should."""
    run = echonode("demo", timeout=180)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "SR at the PACS" in run.stdout
    assert "delivery.delivered" in run.stdout
