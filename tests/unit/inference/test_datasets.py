"""Data sets on disk: what is written is read back, and nothing broken is read at all."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference.labelled import CycleTruth, LabelledStrip
from inference.training.datasets.errors import InvalidDataset
from inference.training.datasets.read import read_dataset
from inference.training.datasets.write import write_dataset
from inference.types import LANDMARK_ORDER, Calibration, Landmarks

HUNDREDTH = 0.00501
"""Half a hundredth of a pixel, and what single precision adds."""
WIDTH, HEIGHT = 200, 120


def strip(name: str = "heart 1", kind: str = "LV", **changes: Any) -> LabelledStrip:
    """A small strip with one cycle (none unless LV), its numbers not on a hundredth."""
    rng = np.random.default_rng(len(name))
    cycle = CycleTruth(
        box_px=(10.1234, 5.4321, 110.5678, 100.0),
        landmarks_px=Landmarks(
            diastole=((30.123, 20.001), (30.5, 30.777), (30.123, 70.5), (30.1, 90.999)),
            systole=((70.0, 22.0), (70.0, 36.0), (70.0, 60.0), (70.0, 88.0)),
        ),
    )
    walls = np.linspace(10, 100, 4 * WIDTH, dtype=np.float32).reshape(4, WIDTH)
    walls[:, 50:60] = np.nan
    given = {
        "name": name,
        "kind": kind,
        "pixels": rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8),
        "calibration": Calibration(cm_per_px_y=0.0123456789, s_per_px_x=0.00412345),
        "cycles": (cycle,) if kind == "LV" else (),
        "walls_px": walls if kind == "LV" else None,
        "attributes": {"source": "made up", "licence": "none"},
    }
    return LabelledStrip(**(given | changes))


def flat(cycle: CycleTruth) -> list[float]:
    """All numbers of a cycle."""
    marks = cycle.landmarks_px
    return [*cycle.box_px, *(v for point in (*marks.diastole, *marks.systole) for v in point)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Pixels, names and calibration exactly, coordinates to a hundredth of a pixel."""
    made = [strip(), strip("air", "noise"), strip("heart 1")]

    assert write_dataset(tmp_path / "set", made) == 3
    found = read_dataset(tmp_path / "set")

    assert len(found) == 3
    for wrote, read in zip(made, found, strict=True):
        assert (read.name, read.kind, read.attributes) == (wrote.name, wrote.kind, wrote.attributes)
        assert read.calibration == wrote.calibration
        assert read.pixels.dtype == np.uint8
        assert np.array_equal(read.pixels, wrote.pixels)
        assert len(read.cycles) == len(wrote.cycles)
        for a, b in zip(read.cycles, wrote.cycles, strict=True):
            assert flat(a) == pytest.approx(flat(b), abs=2 * HUNDREDTH)
    walls = found[0].walls_px
    assert walls is not None
    np.testing.assert_allclose(walls, made[0].walls_px, atol=HUNDREDTH)
    assert found[1].walls_px is None


def test_the_file_is_coco_keypoints(tmp_path: Path) -> None:
    """Corner coordinates: a pixel's centre lies at (column + 0.5, row + 0.5)."""
    write_dataset(tmp_path, [strip()])

    document = json.loads((tmp_path / "annotations.json").read_text())

    (category,), (annotation,), (image,) = (document[k] for k in ("categories", "annotations", "images"))
    assert category["name"] == "cycle"
    assert tuple(category["keypoints"]) == LANDMARK_ORDER
    assert annotation["bbox"] == [10.62, 5.93, 100.45, 94.57]
    assert annotation["keypoints"][:6] == [30.62, 20.5, 2, 31.0, 31.28, 2]
    assert (annotation["image_id"], annotation["category_id"]) == (image["id"], category["id"])
    assert (tmp_path / "images" / image["file_name"]).is_file()


def test_a_data_set_travels_between_processes(tmp_path: Path) -> None:
    """Workers get the list, not the pixels; slices and labels need none either."""
    write_dataset(tmp_path, [strip(), strip("b"), strip("c", "aorta")])
    found = read_dataset(tmp_path)

    sent = pickle.dumps(found)

    assert len(sent) < 5000
    assert np.array_equal(pickle.loads(sent)[1].pixels, found[1].pixels)  # noqa: S301 - our own bytes
    assert [one.kind for one in found[1:]] == ["LV", "aorta"]
    assert [len(one.cycles) for one in found.records] == [1, 1, 0]
    assert found[-1].name == "c"


def test_an_existing_data_set_is_not_overwritten(tmp_path: Path) -> None:
    """Tracings are dear: a second write into the same folder is refused."""
    write_dataset(tmp_path, [strip()])

    with pytest.raises(InvalidDataset, match="already exists"):
        write_dataset(tmp_path, [strip()])


def set_in(where: str, index: int, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one entry of one record."""
    return lambda document: document[where][index].__setitem__(key, value)


def unset_in(where: str, key: str) -> Callable[[dict[str, Any]], None]:
    """The first record without one of its entries."""
    return lambda document: document[where][0].pop(key)


def keypoint(number: int, *values: float) -> Callable[[dict[str, Any]], None]:
    """Another place for one keypoint of the first annotation."""

    def change(document: dict[str, Any]) -> None:
        document["annotations"][0]["keypoints"][3 * number : 3 * number + len(values)] = values

    return change


BROKEN = {
    "degenerate box": (set_in("annotations", 0, "bbox", [10, 10, 0.5, 50]), "degenerate box"),
    "negative box": (set_in("annotations", 0, "bbox", [110, 100, -90, -90]), "degenerate box"),
    "box beyond the image": (set_in("annotations", 0, "bbox", [10, 5, 191, 96]), "leaves the 200 x 120"),
    "keypoint outside": (keypoint(7, 70, 119), "systole keypoints outside their box"),
    "wrong depth order": (keypoint(1, 30, 18), "diastole keypoints not in order"),
    "systole first": (keypoint(0, 90, 21), "diastole is not before systole"),
    "keypoint not seen": (keypoint(2, 30.6, 71, 0), "must be labelled"),
    "too few keypoints": (set_in("annotations", 0, "keypoints", [1, 2, 2]), "keypoints"),
    "unknown image": (set_in("annotations", 0, "image_id", 77), "image 77"),
    "not a number": (set_in("annotations", 0, "bbox", [float("nan"), 0, 10, 10]), "bbox.0"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_annotation_is_named(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    """The message holds the annotation's id, not its position in a list."""
    write_dataset(tmp_path, [strip()])
    path = tmp_path / "annotations.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["id"] = 4711
    change(document)
    path.write_text(json.dumps(document))

    with pytest.raises(InvalidDataset, match=message) as caught:
        read_dataset(tmp_path)

    assert caught.value.annotation == 4711
    assert "annotation 4711" in str(caught.value)


WRONG_SET = {
    "no depth scale": (unset_in("images", "cm_per_px_y"), "heart_1.png.*cm_per_px_y"),
    "no time scale": (unset_in("images", "s_per_px_x"), "heart_1.png.*s_per_px_x"),
    "scale of nothing": (set_in("images", 0, "cm_per_px_y", 0), "cm_per_px_y"),
    "no kind": (unset_in("images", "kind"), "kind"),
    "other size": (set_in("images", 0, "width", 201), "is 200 x 120, its record says 201 x 120"),
    "no such image": (set_in("images", 0, "file_name", "lost.png"), "lost.png: is missing"),
    "no such walls": (set_in("images", 0, "walls", "lost.npz"), "lost.npz: is missing"),
    "outside the folder": (set_in("images", 0, "file_name", "../../heart.png"), "outside the data set"),
    "cycle on no heart": (set_in("images", 0, "kind", "aorta"), "a cycle on a strip of kind aorta"),
    "image twice": (lambda d: d["images"].append(d["images"][0]), "image id 1 occurs twice"),
    "annotation twice": (lambda d: d["annotations"].append(d["annotations"][0]), "annotation id 1 occurs"),
    "other names": (set_in("categories", 0, "keypoints", ["nose"] * 8), "keypoints must be septum_outer"),
    "two categories": (lambda d: d["categories"].append(d["categories"][0]), "categories"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_SET.values(), ids=WRONG_SET)
def test_a_broken_set_is_named(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    """Whatever is wrong with an image or the whole is said with the file's name."""
    write_dataset(tmp_path, [strip()])
    path = tmp_path / "annotations.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))

    with pytest.raises(InvalidDataset, match=message):
        read_dataset(tmp_path)


def test_a_file_that_is_no_gray_image_is_named(tmp_path: Path) -> None:
    """Colour and rubbish are found when the set is read, a cut file when it is loaded."""
    write_dataset(tmp_path, [strip()])
    path = tmp_path / "images" / "heart_1.png"
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidDataset, match=r"heart_1.png: cannot be decoded"):
        read_dataset(tmp_path)[0]
    path.write_bytes(b"no image")
    with pytest.raises(InvalidDataset, match=r"heart_1.png: is no image"):
        read_dataset(tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    with pytest.raises(InvalidDataset, match=r"heart_1.png: must be 8-bit gray, not RGB"):
        read_dataset(tmp_path)


def test_walls_of_another_width_are_named(tmp_path: Path) -> None:
    """A sidecar that belongs to another strip is not used."""
    write_dataset(tmp_path, [strip()])
    np.savez(tmp_path / "walls" / "heart_1.npz", walls_px=np.zeros((4, 9)))
    with pytest.raises(InvalidDataset, match=r"heart_1.npz: walls_px is \(4, 9\), not \(4, 200\)"):
        read_dataset(tmp_path)[0]
    (tmp_path / "walls" / "heart_1.npz").write_bytes(b"PK")
    with pytest.raises(InvalidDataset, match=r"heart_1.npz: holds no walls_px"):
        read_dataset(tmp_path)[0]


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is no JSON"), ("[]", "valid dictionary"), ("{}", "Field required")]
)
def test_labels_that_are_no_labels_are_named(text: str, message: str, tmp_path: Path) -> None:
    """So is a folder without them."""
    with pytest.raises(InvalidDataset, match=r"annotations.json: cannot be read"):
        read_dataset(tmp_path)
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(InvalidDataset, match=message):
        read_dataset(tmp_path)


def test_a_cycle_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    """Writing checks by the same rules, and leaves no labels behind."""
    whole = strip().cycles[0]
    upside_down = CycleTruth(
        box_px=whole.box_px,
        landmarks_px=Landmarks(
            diastole=whole.landmarks_px.diastole[::-1],
            systole=whole.landmarks_px.systole,
        ),
    )
    with pytest.raises(InvalidDataset, match="heart 1, annotation 1: diastole keypoints not in order"):
        write_dataset(tmp_path, [strip(cycles=(upside_down,))])
    assert not (tmp_path / "annotations.json").exists()
