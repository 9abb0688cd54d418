"""Labels of other tools: a small made-up MEIS release, CVAT and Label Studio exports as they are written."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inference.labelled import LabelledStrip
from inference.training.datasets.errors import InvalidDataset
from inference.training.datasets.read import read_dataset
from inference.training.datasets.write import write_dataset
from inference.training.imports.coco_export import label_file, picture_folders, read_coco
from inference.training.imports.label_studio import is_label_studio, read_label_studio
from inference.training.imports.masks import as_mask, run_lengths
from inference.training.imports.meis import NOMINAL, import_meis
from inference.training.imports.placement import Placement, Placements, Skipped, read_table
from inference.training.imports.tracings import Choices, TracedPicture, Tracing, strips_of
from inference.training.imports.walls import cycles_of, wall_curves
from inference.types import LANDMARK_ORDER, Calibration

SCALE = Calibration(cm_per_px_y=0.04, s_per_px_x=0.005)
WIDTH, HEIGHT = 640, 480
TOP = int(200 / 544 * WIDTH)
RR_PX, FIRST_ED = 160.0, 60


def walls() -> NDArray[np.float64]:
    """(4, WIDTH) borders in picture corner coordinates: widest at FIRST_ED and each RR_PX later."""
    columns = np.arange(WIDTH) + 0.5
    narrowing = 0.5 - 0.5 * np.cos(2 * np.pi * (columns - 0.5 - FIRST_ED) / RR_PX)
    return np.stack(
        [
            280 - 4 * narrowing,
            300 + 6 * narrowing,
            400 - 22 * narrowing,
            420 - 18 * narrowing,
        ]
    )


def filled(upper: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels whose centre lies between two borders."""
    rows = np.arange(HEIGHT)[:, None] + 0.5
    return (rows > upper) & (rows < lower)


def runs(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask as Datumaro and pycocotools write it uncompressed."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    turns = np.flatnonzero(np.diff(flat.astype(np.int8)))
    counts = np.diff(np.concatenate([[0], turns, [mask.size]]))
    return {"size": list(mask.shape), "counts": [int(count) for count in counts]}


def polygon(upper: NDArray[np.float64], lower: NDArray[np.float64]) -> list[list[float]]:
    """The outline of a wall, as a person clicks it: a corner every eight columns."""
    columns = np.append(np.arange(0, WIDTH, 8), WIDTH - 1)
    x = np.where(columns == WIDTH - 1, WIDTH, columns)
    there = np.stack([x, upper[columns]], axis=1).tolist()
    back = np.stack([x, lower[columns]], axis=1)[::-1].tolist()
    return [[value for point in there + back for value in point]]


def annotation(number: int, image: int, category: int, segmentation: Any) -> dict[str, Any]:
    """An instance; `bbox` holds corners, as the release's reader takes it."""
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        "bbox": [0, 280, WIDTH, 420],
        "iscrowd": 0,
        "area": 1,
    }


@pytest.fixture
def meis(tmp_path: Path) -> Path:
    """The published layout: raw_image/, Allmode_train.json, Allmode_test.json."""
    root = tmp_path / "MEIS"
    (root / "raw_image").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = (
        "I1028IM_0011_crop.jpg",
        "I1029IM_0002_crop.jpg",
        "I1005IM_0013_crop.jpg",
        "I1030IM_0001_crop.jpg",
    )
    for name in names:
        Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(
            root / "raw_image" / name
        )
    border = walls()
    train = {
        "categories": [{"id": i, "name": n} for i, n in ((1, "IVS"), (2, "LVPW"), (3, "LA"), (4, "AoR"))],
        "images": [
            {"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in enumerate(names)
        ],
        "annotations": [
            annotation(1, 0, 1, polygon(border[0], border[1])),
            annotation(2, 0, 2, polygon(border[2], border[3])),
            annotation(3, 1, 1, runs(filled(border[0], border[1]))),
            annotation(4, 1, 2, runs(filled(border[2], border[3]))),
            annotation(5, 2, 4, polygon(border[0], border[1])),
            annotation(6, 2, 3, polygon(border[2], border[3])),
            annotation(7, 3, 1, polygon(border[0], border[1])),
        ],
    }
    (root / "Allmode_train.json").write_text(json.dumps(train))
    test = {"categories": [], "images": train["images"][2:3], "annotations": train["annotations"][4:6]}
    (root / "Allmode_test.json").write_text(json.dumps(test))
    return root


def test_meis_becomes_strips(meis: Path) -> None:
    """Both kinds of mask give the drawn borders, beats and landmarks; AV images are negatives."""
    given = Placements(default=Placement(calibration=SCALE))

    drawn, run_length, aorta, half = import_meis(meis, given)

    for strip in (drawn, run_length):
        assert isinstance(strip, LabelledStrip)
        assert (strip.kind, strip.calibration) == ("LV", SCALE)
        assert strip.pixels.shape == (HEIGHT - TOP, WIDTH)
        assert strip.walls_px is not None
        off = strip.walls_px - (walls() - TOP - 0.5)
        assert np.nanmax(np.abs(off)) < 1.0
        assert np.abs(np.nanmean(off, axis=1)).max() < 0.1
        # Beats start at 60, 220 and 380; the one at 540 has no next end diastole on the strip.
        assert len(strip.cycles) == 3
        for beat, cycle in enumerate(strip.cycles):
            x0, y0, x1, y1 = cycle.box_px
            diastole, systole = cycle.landmarks_px.diastole, cycle.landmarks_px.systole
            assert x1 - x0 == pytest.approx(RR_PX, abs=3)
            assert diastole[0][0] == pytest.approx(FIRST_ED + beat * RR_PX, abs=6)
            assert diastole[0][0] - x0 == pytest.approx(0.2 * (x1 - x0))
            assert systole[0][0] == pytest.approx(FIRST_ED + (beat + 0.5) * RR_PX, abs=6)
            assert [y for _, y in diastole] == pytest.approx(
                [y - TOP - 0.5 for y in (280, 300, 400, 420)], abs=1
            )
            assert [y for _, y in systole] == pytest.approx(
                [y - TOP - 0.5 for y in (276, 306, 378, 402)], abs=1
            )
            assert y0 == pytest.approx(276 - TOP - 0.12 * 144, abs=2)
            assert y1 == pytest.approx(420 - TOP + 0.12 * 144, abs=2)
    assert isinstance(aorta, LabelledStrip)
    assert (aorta.kind, aorta.cycles, aorta.walls_px) == ("aorta", (), None)
    assert aorta.attributes["exam"] == "I1005IM"
    assert half == Skipped(name="I1030IM_0001_crop.jpg", reason="labelled IVS: neither LV nor AV")


def test_meis_becomes_a_valid_data_set(meis: Path, tmp_path: Path) -> None:
    """What is imported can be written, and read back; the missing scale is said."""
    strips = [each for each in import_meis(meis, Placements()) if isinstance(each, LabelledStrip)]
    write_dataset(tmp_path / "out", strips)

    found = read_dataset(tmp_path / "out")

    assert [one.kind for one in found] == ["LV", "LV", "aorta"]
    assert found[0].calibration == NOMINAL
    assert found[0].attributes["calibration"] == "nominal: centimetres mean nothing"
    assert [one.name for one in import_meis(meis, Placements(), "test")] == ["I1005IM_0013_crop.jpg"]


def test_meis_takes_a_region_from_the_table(meis: Path) -> None:
    """A given rectangle is cut out, first and last column and row included; labels move with it."""
    own = Placement(calibration=SCALE, region_px=(20, 250, 619, 459))
    given = Placements(by_name={"I1028IM_0011_crop.jpg": own})

    strip = next(import_meis(meis, given))

    assert isinstance(strip, LabelledStrip)
    assert strip.pixels.shape == (210, 600)
    assert strip.cycles[0].landmarks_px.diastole[1] == pytest.approx((40, 49.5), abs=6)


def changed(path: Path, change: Callable[[Any], Any]) -> None:
    """Rewrites a JSON file."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


WRONG_MEIS = {
    "unknown category": (lambda d: d["annotations"][2].update(category_id=9), "annotation 3.*category 9"),
    "runs of another size": (
        lambda d: d["annotations"][2]["segmentation"].update(size=[WIDTH, HEIGHT]),
        "annotation 3.*run lengths of size",
    ),
    "runs too short": (
        lambda d: d["annotations"][2]["segmentation"].update(counts=[3, 4]),
        "annotation 3.*do not add up",
    ),
    "no mask": (lambda d: d["annotations"][0].update(segmentation=[]), "annotation 1.*neither polygons"),
    "no such picture": (lambda d: d["images"][0].update(file_name="lost.jpg"), "lost.jpg: is missing"),
    "another size": (lambda d: d["images"][2].update(width=WIDTH - 1), "not as large as its labels say"),
    "no images": (lambda d: d.pop("images"), "Allmode_train.json: is not laid out as published"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_MEIS.values(), ids=WRONG_MEIS)
def test_a_broken_meis_is_named(change: Callable[[Any], Any], message: str, meis: Path) -> None:
    """File and annotation are said."""
    changed(meis / "Allmode_train.json", change)

    with pytest.raises(InvalidDataset, match=message):
        list(import_meis(meis, Placements()))


def test_a_folder_that_is_no_meis_is_named(tmp_path: Path) -> None:
    """The file that should be there is said."""
    with pytest.raises(InvalidDataset, match=r"Allmode_train.json: cannot be read"):
        list(import_meis(tmp_path, Placements()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("61X13mN000`0", [6, 1, 40, 4, 5, 4, 5, 4, 21]),
        ("e75S10000000ST1", [245, 5, 35, 5, 35, 5, 35, 5, 35, 5, 1190]),
        ("52203", [5, 2, 2, 2, 5]),
    ],
)
def test_compressed_run_lengths(text: str, expected: list[int]) -> None:
    """Strings and run lengths as pycocotools pairs them."""
    assert run_lengths(text) == expected
    assert as_mask({"size": [1, sum(expected)], "counts": text}, 1, sum(expected)).sum() == sum(
        expected[1::2]
    )


def test_run_lengths_go_down_the_columns() -> None:
    """Two rows, three columns: one background pixel, then three of the mask, then background."""
    mask = as_mask({"size": [2, 3], "counts": [1, 3, 2]}, 2, 3)

    assert mask.tolist() == [[False, True, False], [True, True, False]]


def test_holes_and_specks_are_mended() -> None:
    """A hole, a slit, a notch and a far speck leave the curves alone; a missing stretch is unknown."""
    septum, wall = (np.zeros((100, 80), dtype=bool) for _ in range(2))
    septum[20:31] = True
    wall[60:71] = True
    septum[20:23, 40] = septum[24:27, 10:13] = septum[:, 50:54] = False
    septum[90:92, 30:33] = True
    wall[:, 70:] = False

    curves = wall_curves(septum, wall)

    assert np.isnan(curves[:, 70:]).all()
    assert np.unique(curves[:, :70], axis=1).tolist() == [[19.5], [30.5], [59.5], [70.5]]


def test_a_wall_in_pieces_is_one_wall(meis: Path) -> None:
    """Annotators lift the pen, at the sweep gap for one."""
    border = walls()
    septum = filled(border[0], border[1])
    left, right = septum.copy(), septum.copy()
    left[:, 300:] = right[:, :300] = False

    def in_two(document: dict[str, Any]) -> None:
        document["annotations"][0]["segmentation"] = runs(left)
        document["annotations"].append(annotation(8, 0, 1, runs(right)))

    changed(meis / "Allmode_train.json", in_two)

    strip = next(import_meis(meis, Placements()))

    assert isinstance(strip, LabelledStrip)
    assert len(strip.cycles) == 3


def test_a_slow_sweep_keeps_its_extremes() -> None:
    """With twenty columns a beat, mending must not round off the moment of end diastole."""
    distance = 60 + 30 * np.abs(np.linspace(-1, 1, 21))[np.arange(WIDTH) % 20]
    upper = np.full(WIDTH, 120.0)
    masks = filled(upper - 20, upper), filled(upper + distance, upper + distance + 15)

    found = cycles_of(wall_curves(*masks), Calibration(cm_per_px_y=0.04, s_per_px_x=0.03), HEIGHT)

    assert len(found) > 25
    assert [
        one.landmarks_px.diastole[2][1] - one.landmarks_px.diastole[1][1] for one in found
    ] == pytest.approx([90] * len(found), abs=4)


def curves(first_ed: int, unknown: slice = slice(0)) -> NDArray[np.float32]:
    """Walls whose beats begin at `first_ed`: systole, rapid filling that overshoots, and a late plateau."""
    columns = np.arange(WIDTH)
    phase = (columns - first_ed) % RR_PX / RR_PX
    narrowing = np.interp(phase, [0, 0.35, 0.6, 0.7, 0.85, 1], [0, 1, 0.15, 0.25, 0, 0])
    made = np.stack([50 + 0 * columns, 70 + 0 * columns, 170 - 40 * narrowing, 190 - 20 * narrowing])
    made[:, unknown] = np.nan
    return made.astype(np.float32)


def test_end_diastole_is_the_end_of_the_widest() -> None:
    """Not the overshoot of rapid filling, nor the middle of the plateau before contraction."""
    found = cycles_of(curves(60), SCALE, HEIGHT)

    assert [one.box_px[2] - one.box_px[0] for one in found] == pytest.approx([RR_PX] * 3, abs=3)
    assert [one.landmarks_px.diastole[0][0] for one in found] == pytest.approx([60, 220, 380], abs=5)
    assert [one.landmarks_px.systole[0][0] for one in found] == pytest.approx([116, 276, 436], abs=4)


def test_only_whole_beats_are_taken() -> None:
    """A box that would begin before the strip, or cross columns nobody traced, is left out."""
    early = cycles_of(curves(10), SCALE, HEIGHT)
    torn = cycles_of(curves(60, unknown=slice(300, 306)), SCALE, HEIGHT)

    assert [one.landmarks_px.diastole[0][0] for one in early] == pytest.approx([170, 330], abs=5)
    assert all(one.box_px[0] >= 0 for one in early)
    assert all(one.box_px[2] < 300 or one.box_px[0] >= 306 for one in torn)
    assert len(torn) == 2


# Tracings ------------------------------------------------------------------------------------------

POINTS = [(60, 30), (60, 45), (60, 90), (60, 104), (120, 28), (120, 50), (120, 80), (120, 99)]
BOX = [28.5, 20.25, 160.0, 95.5]
HULL = [60, 28, 60, 76]


def flat(points: list[tuple[float, float]]) -> list[float]:
    """Keypoints as COCO lists them."""
    return [value for x, y in points for value in (x, y, 2)]


def picture(path: Path, size: tuple[int, int] = (300, 200)) -> None:
    """A colour screenshot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def cvat(tmp_path: Path) -> Path:
    """CVAT's COCO Keypoints 1.0 after unpacking: two grouped skeletons on one picture, one picture bare."""
    root = tmp_path / "cvat"
    for name in ("a.png", "b.png"):
        picture(root / "images" / "default" / name)
    shuffled = list(LANDMARK_ORDER[::-1])
    later = [(x + 130, y) for x, y in POINTS]
    document = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {
            "contributor": "",
            "date_created": "",
            "description": "",
            "url": "",
            "version": "",
            "year": "",
        },
        "categories": [
            {"id": 1, "name": "beat box", "supercategory": "", "keypoints": [], "skeleton": []},
            {"id": 2, "name": "beat", "supercategory": "", "keypoints": shuffled, "skeleton": [[1, 2]]},
        ],
        "images": [
            {"id": i, "width": 300, "height": 200, "file_name": n, "license": 0, "date_captured": 0}
            for i, n in ((1, "a.png"), (2, "b.png"))
        ],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": category,
                "segmentation": [],
                "area": 15280.0,
                "bbox": box,
                "iscrowd": 0,
                "attributes": {"occluded": False, "keyframe": False},
                "keypoints": flat(points[::-1]),
                "num_keypoints": 8,
            }
            for number, category, points, box in (
                (7, 2, POINTS, BOX),
                # Datumaro takes the category of a group from its rectangle.
                (9, 1, later, [158.5, 20.25, 200.0, 95.5]),
            )
        ],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "person_keypoints_default.json").write_text(json.dumps(document))
    return root


def choices(folder: Path, **changes: Any) -> Choices:
    """One scale for all, pictures where the tool put them."""
    given: dict[str, Any] = {
        "placements": Placements(default=Placement(calibration=SCALE)),
        "folders": picture_folders(label_file(folder)),
    }
    return Choices(**(given | changes))


def coco(folder: Path, **changes: Any) -> Iterator[LabelledStrip | Skipped]:
    """Strips of an exported COCO folder."""
    return strips_of(read_coco(label_file(folder)), choices(folder, **changes))


def test_cvat_tracings_become_strips(cvat: Path) -> None:
    """Names decide, not the order; corner coordinates lose half a pixel; boxes end with the picture."""
    strip, bare = coco(cvat, source="our hospital")

    assert bare == Skipped(name="b.png", reason="nothing is labelled")
    assert isinstance(strip, LabelledStrip)
    assert (strip.name, strip.kind, strip.pixels.shape) == ("a.png", "LV", (200, 300))
    assert strip.attributes == {"source": "our hospital"}
    first, second = strip.cycles
    assert first.box_px == (28.0, 19.75, 188.0, 115.25)
    assert second.box_px == (158.0, 19.75, 299.5, 115.25)
    assert [*first.landmarks_px.diastole, *first.landmarks_px.systole] == [
        (x - 0.5, y - 0.5) for x, y in POINTS
    ]


def test_other_keypoint_names_are_taken_in_order(cvat: Path) -> None:
    """CVAT numbers skeleton points unless someone names them."""
    path = cvat / "annotations" / "person_keypoints_default.json"
    changed(path, lambda d: d["categories"][1].update(keypoints=[str(i) for i in range(1, 9)]))
    changed(path, lambda d: d["annotations"][0].update(keypoints=flat(POINTS)))
    changed(path, lambda d: d["annotations"].pop())

    strip = next(coco(cvat))

    assert isinstance(strip, LabelledStrip)
    assert strip.cycles[0].landmarks_px.systole[3] == (119.5, 98.5)


def test_unlabelled_pictures_are_negatives_when_someone_says_so(cvat: Path) -> None:
    """By the flag as `other`, by the table as what it says."""
    flagged = list(coco(cvat, unlabelled_are_negatives=True))[1]
    listed = Placements(by_name={"b.png": Placement(calibration=SCALE, kind="mitral")})
    listed = Placements(default=Placement(calibration=SCALE), by_name=listed.by_name)
    named = list(coco(cvat, placements=listed))[1]

    assert isinstance(flagged, LabelledStrip)
    assert isinstance(named, LabelledStrip)
    assert (flagged.kind, flagged.cycles) == ("other", ())
    assert named.kind == "mitral"


def test_a_table_gives_scale_and_region(cvat: Path, tmp_path: Path) -> None:
    """The strip is cut from the screenshot and its labels move with it."""
    table = tmp_path / "calibration.csv"
    table.write_text(
        "file_name,cm_per_px_y,s_per_px_x,x0,y0,x1,y1,kind\na.png,0.05,0.004,20,10,279,189,\nb.png,,,,,,,IVC\n"
    )

    strip, other = coco(
        cvat, placements=Placements(default=Placement(calibration=SCALE), by_name=read_table(table))
    )

    assert isinstance(strip, LabelledStrip)
    assert isinstance(other, LabelledStrip)
    assert strip.calibration == Calibration(cm_per_px_y=0.05, s_per_px_x=0.004)
    assert strip.pixels.shape == (180, 260)
    assert strip.cycles[0].landmarks_px.diastole[0] == (39.5, 19.5)
    assert (other.kind, other.calibration) == ("IVC", SCALE)


def test_a_ventricle_that_nobody_traced_is_no_negative(cvat: Path) -> None:
    """The table says LV and no tracing does: it is left out, not taught as empty."""
    untraced = Placements(
        default=Placement(calibration=SCALE),
        by_name={"b.png": Placement(calibration=SCALE, kind="LV")},
    )

    _, second = coco(cvat, placements=untraced, unlabelled_are_negatives=True)

    assert isinstance(second, Skipped)


def test_each_tracing_gets_the_smallest_rectangle_around_it(cvat: Path) -> None:
    """Rectangles may overlap."""
    points = np.array(POINTS, dtype=np.float64)
    small, large = (30.0, 20.0, 160.0, 110.0), (30.0, 15.0, 290.0, 120.0)
    traced = TracedPicture(
        name="a.png",
        tracings=(
            Tracing(id=1, points=points, box=None),
            Tracing(id=2, points=points + np.array([130, 0]), box=None),
        ),
        rectangles=(large, small),
    )

    (strip,) = strips_of([traced], choices(cvat))

    assert isinstance(strip, LabelledStrip)
    assert [cycle.box_px[2] for cycle in strip.cycles] == [159.5, 289.5]


WRONG_CVAT = {
    "no grouped rectangle": (
        lambda d: d["annotations"][0].update(bbox=HULL),
        "a.png, annotation 7: no cycle box",
    ),
    "a hidden point": (
        lambda d: d["annotations"][0]["keypoints"].__setitem__(2, 0),
        "annotation 7: all eight",
    ),
    "wrong order": (
        lambda d: d["annotations"][1].update(keypoints=flat([(x + 130, y) for x, y in POINTS])),
        "annotation 9: diastole",
    ),
    "no skeleton": (lambda d: d["categories"].pop(), "one category with eight keypoints is needed, found 0"),
    "two skeletons": (lambda d: d["categories"].append(d["categories"][1]), "is needed, found 2"),
    "no such picture": (lambda d: d["images"][0].update(file_name="lost.png"), "lost.png: is missing"),
    "no images": (lambda d: d.pop("images"), "is no COCO file"),
    "strange keypoints": (
        lambda d: d["annotations"][0].update(keypoints=[1, 2]),
        "annotation 7: cannot reshape",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG_CVAT.values(), ids=WRONG_CVAT)
def test_a_tracing_that_cannot_be_used_is_named(
    change: Callable[[Any], Any], message: str, cvat: Path
) -> None:
    """Picture and annotation are said."""
    changed(cvat / "annotations" / "person_keypoints_default.json", change)

    with pytest.raises(InvalidDataset, match=message):
        list(coco(cvat))


def test_a_picture_without_scale_is_named(cvat: Path) -> None:
    """Nobody guesses centimetres."""
    with pytest.raises(InvalidDataset, match=r"a.png: has no calibration"):
        list(coco(cvat, placements=Placements()))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name\na.png\n", "has no column 'file_name'"),
        (
            "file_name,cm_per_px_y,s_per_px_x\na.png,0.04,\n",
            "line 2: cm_per_px_y, s_per_px_x belong together",
        ),
        ("file_name,cm_per_px_y,s_per_px_x\nb.png,,\na.png,0,0.1\n", "line 3: cm_per_px_y must be positive"),
        ("file_name,cm_per_px_y,s_per_px_x\na.png,wide,1\n", "line 2: could not convert"),
    ],
)
def test_a_broken_table_is_named(table: str, message: str, tmp_path: Path) -> None:
    """The line is said."""
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(InvalidDataset, match=message):
        read_table(tmp_path / "t.csv")


def test_a_region_outside_the_picture_is_named(cvat: Path) -> None:
    """Nothing is cut silently."""
    wide = Placements(default=Placement(calibration=SCALE, region_px=(0, 0, 300, 199)))
    with pytest.raises(InvalidDataset, match=r"a.png: region .* is not inside its 300 x 200 pixels"):
        list(coco(cvat, placements=wide))


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """Label Studio's COCO export: the rectangle and the merged keypoints are two annotations."""
    root = tmp_path / "studio"
    picture(root / "images" / "0a1b2c3d-heart.png")
    document = {
        "images": [{"width": 300, "height": 200, "id": 0, "file_name": "images/0a1b2c3d-heart.png"}],
        "categories": [
            {"id": 0, "name": "cycle"},
            {
                "id": 1,
                "name": "default",
                "supercategory": "default",
                "keypoints": list(LANDMARK_ORDER),
                "skeleton": [],
            },
        ],
        "annotations": [
            {
                "id": 0,
                "image_id": 0,
                "category_id": 0,
                "segmentation": [],
                "bbox": BOX,
                "ignore": 0,
                "area": 1.0,
            },
            {
                "id": 1,
                "image_id": 0,
                "category_id": 1,
                "keypoints": flat(POINTS),
                "num_keypoints": 8,
                "bbox": HULL,
                "iscrowd": 0,
            },
        ],
        "info": {"year": 2026, "version": "1.0", "contributor": "Label Studio"},
    }
    (root / "result.json").write_text(json.dumps(document))
    return root


def test_label_studio_coco_finds_the_rectangle_of_the_points(studio: Path) -> None:
    """The table may name the picture without Label Studio's eight digits."""
    own = Placements(by_name={"heart.png": Placement(calibration=SCALE)})

    (strip,) = coco(studio, placements=own)

    assert isinstance(strip, LabelledStrip)
    assert strip.cycles[0].box_px == (28.0, 19.75, 188.0, 115.25)
    assert strip.cycles[0].landmarks_px.diastole[0] == (59.5, 29.5)


def test_label_studio_coco_that_lost_cycles_is_refused(studio: Path) -> None:
    """That export merges the keypoints of all cycles: better no strip than half its beats."""
    changed(studio / "result.json", lambda d: d["annotations"].append(d["annotations"][0] | {"id": 2}))

    with pytest.raises(InvalidDataset, match=r"2 rectangles, but points for 1.*export as JSON"):
        list(coco(studio))


def region(number: str, kind: str, **value: Any) -> dict[str, Any]:
    """One region of a Label Studio task."""
    parent = value.pop("parent", None)
    made = {"id": number, "type": kind, "value": value, "original_width": 300, "original_height": 200}
    return made | ({"parentID": parent} if parent else {})


def task() -> dict[str, Any]:
    """A task with two cycles, after one that was cancelled."""
    regions = []
    for number, shift in (("first", 0.0), ("second", 100.0)):
        regions.append(
            region(
                number,
                "rectanglelabels",
                x=(BOX[0] + shift) / 3,
                y=BOX[1] / 2,
                width=BOX[2] / 3,
                height=BOX[3] / 2,
                rotation=0,
                rectanglelabels=["cycle"],
            )
        )
        regions += [
            region(
                f"{number} {name}",
                "keypointlabels",
                x=(x + shift) / 3,
                y=y / 2,
                width=0.3,
                keypointlabels=[name],
                parent=number,
            )
            for name, (x, y) in zip(LANDMARK_ORDER, POINTS, strict=True)
        ]
    return {
        "id": 1,
        "data": {"image": "/data/local-files/?d=strips/heart%201.png"},
        "annotations": [{"result": [], "was_cancelled": True}, {"result": regions, "was_cancelled": False}],
    }


def test_label_studio_json_keeps_every_cycle(tmp_path: Path) -> None:
    """Percentages become corner coordinates; keypoints go with the rectangle they lie under."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task()]))
    picture(tmp_path / "pictures" / "heart 1.png")

    assert is_label_studio(path)
    (strip,) = strips_of(
        read_label_studio(path),
        Choices(
            placements=Placements(default=Placement(calibration=SCALE)), folders=(tmp_path / "pictures",)
        ),
    )

    assert isinstance(strip, LabelledStrip)
    first, second = strip.cycles
    assert first.box_px == pytest.approx((28.0, 19.75, 188.0, 115.25))
    assert second.box_px == pytest.approx((128.0, 19.75, 288.0, 115.25))
    assert second.landmarks_px.systole[3] == pytest.approx((219.5, 98.5))


WRONG_STUDIO = {
    "a point missing": (
        lambda r: r.pop(),
        "annotation second: keypoints missing: posterior_wall_outer_systole",
    ),
    "a lonely point": (
        lambda r: r[3].pop("parentID"),
        "annotation first .*: keypoint lies under no rectangle",
    ),
    "a turned box": (
        lambda r: r[0]["value"].update(rotation=3),
        "annotation first: a cycle box cannot be turned",
    ),
    "no type": (lambda r: r[0].pop("type"), "is no Label Studio export"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_STUDIO.values(), ids=WRONG_STUDIO)
def test_a_region_that_cannot_be_used_is_named(
    change: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    """Its id is said."""
    made = task()
    change(made["annotations"][1]["result"])
    path = tmp_path / "export.json"
    path.write_text(json.dumps([made]))

    with pytest.raises(InvalidDataset, match=message):
        read_label_studio(path)


def test_a_task_that_nobody_annotated_has_no_tracings(tmp_path: Path) -> None:
    """It is skipped later, or a negative if someone says so."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"data": {"img": "/data/upload/1/0a1b2c3d-x.png"}, "annotations": []}]))

    assert read_label_studio(path) == [TracedPicture(name="0a1b2c3d-x.png", tracings=())]


def test_a_folder_needs_one_label_file(tmp_path: Path) -> None:
    """None and two are both a question back."""
    with pytest.raises(InvalidDataset, match="holds 0 JSON files"):
        label_file(tmp_path)
    (tmp_path / "a.json").touch()
    (tmp_path / "b.json").touch()
    with pytest.raises(InvalidDataset, match="holds 2 JSON files"):
        label_file(tmp_path)
