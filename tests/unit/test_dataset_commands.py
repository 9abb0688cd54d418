"""`echonode dataset …` and `echonode phantom --as-dataset`: exit codes and what is said."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dicom_node.cli.app import app
from inference.training.datasets.read import read_dataset
from inference.types import LANDMARK_ORDER


def echonode(*words: str | Path) -> Result:
    """One run of the command in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A CVAT export of one traced picture and one bare one."""
    root = tmp_path / "export"
    (root / "images").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((200, 300), 80, dtype=np.uint8)).save(root / "images" / name)
    points = [(x, y) for x in (60, 120) for y in (30, 45, 90, 104)]
    document = {
        "categories": [{"id": 1, "name": "cycle", "keypoints": list(LANDMARK_ORDER), "skeleton": []}],
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": [
            {
                "id": 5,
                "image_id": 1,
                "category_id": 1,
                "bbox": [30, 20, 160, 95],
                "keypoints": [value for x, y in points for value in (x, y, 2)],
            }
        ],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "person_keypoints_default.json").write_text(json.dumps(document))
    return root


def test_tracings_become_a_checked_data_set(export: Path, tmp_path: Path) -> None:
    """Import says what came of it; check prints the lengths and draws the sheet."""
    scale = ("--cm-per-px", "0.05", "--s-per-px", "0.005")

    made = echonode("dataset", "import", "coco", export, "--out", tmp_path / "set", *scale)
    checked = echonode("dataset", "check", tmp_path / "set", "--out", tmp_path / "sheets" / "sheet.png")

    assert made.exit_code == 0, made.output
    assert "1 strips (1 LV), 1 cycles" in made.output
    assert "skipped 1: nothing is labelled" in made.output
    assert checked.exit_code == 0, checked.output
    row = next(line for line in checked.output.splitlines() if "LVIDd_cm" in line)
    assert row.count("2.25") == 3
    with Image.open(tmp_path / "sheets" / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.getcolors(sheet.width * sheet.height) or ()}
    assert {(86, 180, 233), (240, 165, 0)} <= colours


def test_options_of_the_import_are_passed_on(export: Path, tmp_path: Path) -> None:
    """Scale and kind from the table beside the labels, region and flag from the options."""
    (export / "calibration.csv").write_text(
        "file_name,cm_per_px_y,s_per_px_x,kind\na.png,0.1,0.01,\nb.png,1,1,IVC\n"
    )
    run = echonode(
        *("dataset", "import", "coco", export, "--out", tmp_path / "set", "--source", "ours"),
        *("--region", "10", "10", "289", "189", "--unlabelled-are-negatives", "--category", "cycle"),
    )

    assert run.exit_code == 0, run.output
    first, second = read_dataset(tmp_path / "set")
    assert (first.calibration.cm_per_px_y, first.pixels.shape) == (0.1, (180, 280))
    assert first.attributes == {"source": "ours"}
    assert second.kind == "IVC"


def test_phantoms_become_a_data_set(tmp_path: Path) -> None:
    """`--as-dataset` writes our format, of one kind if asked."""
    run = echonode(
        "phantom", "--out", tmp_path, "--count", "2", "--seed", "5", "--kind", "noise", "--as-dataset"
    )

    assert run.exit_code == 0, run.output
    assert [strip.name for strip in read_dataset(tmp_path)] == ["noise 5", "noise 6"]


def test_a_data_set_that_cannot_be_read_is_exit_one(export: Path, tmp_path: Path) -> None:
    """One sentence that names the file, on standard error."""
    no_scale = echonode("dataset", "import", "coco", export, "--out", tmp_path / "set")
    no_set = echonode("dataset", "check", tmp_path)
    no_meis = echonode("dataset", "import", "meis", tmp_path, "--out", tmp_path / "set")

    assert [run.exit_code for run in (no_scale, no_set, no_meis)] == [1, 1, 1]
    assert "a.png: has no calibration" in no_scale.stderr
    assert "annotations.json: cannot be read" in no_set.stderr
    assert "Allmode_train.json: cannot be read" in no_meis.stderr


def test_wrong_usage_is_exit_two(export: Path, tmp_path: Path) -> None:
    """Half a scale, a scale of nothing, a folder that does not exist."""
    out = ("--out", tmp_path / "set")
    half = echonode("dataset", "import", "coco", export, *out, "--cm-per-px", "0.1")
    nothing = echonode("dataset", "import", "coco", export, *out, "--cm-per-px", "0", "--s-per-px", "1")
    nowhere = echonode("dataset", "check", tmp_path / "nowhere")

    assert [run.exit_code for run in (half, nothing, nowhere)] == [2, 2, 2]
    assert "belong together" in half.stderr
