"""The MEIS release of M-mode echocardiograms (Tseng et al., RAMEM, IEEE JBHI 2024) as labelled strips.

Layout from README, config.py, utils/coco.py and eval.py of the repository hanktseng131415go/RAMEM:
`raw_image/*.jpg`, `Allmode_train.json` and `Allmode_test.json` (COCO instances, category ids 1 IVS, 2 LVPW,
3 LA, 4 AoR). `bbox` is ambiguous (its reader takes it for corners), so only masks are used. There is no
scale: RAMEM reads the depth off the picture and spreads it over 385 pixels.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.labelled import LEFT_VENTRICLE, LabelledStrip
from inference.training.datasets.errors import InvalidDataset, invalid_if_malformed
from inference.training.imports.masks import Mask, as_mask
from inference.training.imports.placement import (
    Imported,
    Placement,
    Placements,
    Region,
    Skipped,
    check_region,
    gray_picture,
)
from inference.training.imports.walls import cycles_of, wall_curves
from inference.types import Calibration

IVS, LVPW, LA, AOR = "IVS", "LVPW", "LA", "AoR"
CATEGORY_IDS = {1: IVS, 2: LVPW, 3: LA, 4: AOR}
NEGATIVE_KIND = "aorta"
IMAGES = "raw_image"
STRIP_TOP = 200 / 544
"""The M-mode strip starts at this share of the picture's longer side (RAMEM ends its search there)."""
NOMINAL = Calibration(cm_per_px_y=16 / 385, s_per_px_x=0.005)
"""Used where no scale is given: 16 cm over RAMEM's 385 pixels, a common sweep speed. Good for shapes,
not for centimetres."""
ATTRIBUTES = {
    "source": "MEIS (Tseng et al., RAMEM, IEEE JBHI 2024)",
    "licence": "none stated: not for redistribution",
}


def import_meis(folder: Path, placements: Placements, split: str = "train") -> Iterator[Imported]:
    """Every picture of one split (`train` or `test`): left ventricles with beats, aortas as negatives.

    Raises:
        InvalidDataset: a file is missing or not in the published layout.
    """
    root = folder / "data" if (folder / "data" / f"Allmode_{split}.json").is_file() else folder
    path = root / f"Allmode_{split}.json"
    document = _read(path)
    names = {each["id"]: each["name"] for each in document.get("categories", ())}
    labelled = defaultdict(list)
    for annotation in document["annotations"]:
        labelled[annotation["image_id"]].append(annotation)
    for image in document["images"]:
        masks = _masks(path, image, labelled[image["id"]], names)
        yield _strip(root, image["file_name"], masks, placements.of(image["file_name"]), split)


def _read(path: Path) -> Mapping[str, Any]:
    with invalid_if_malformed(path, "is not laid out as published"):
        document = json.loads(path.read_bytes())
        images, annotations = document["images"], document["annotations"]
        _ = [(each["id"], each["file_name"], each["height"], each["width"]) for each in images]
        _ = [(each["image_id"], each["category_id"], each["segmentation"]) for each in annotations]
    return dict(document)


def _masks(
    path: Path, image: Mapping[str, Any], annotations: list[Mapping[str, Any]], names: Mapping[int, str]
) -> dict[str, Mask]:
    """One mask per structure, the union of its pieces."""
    masks: dict[str, Mask] = {}
    for each in annotations:
        try:
            name = _structure(each["category_id"], names)
            mask = as_mask(each["segmentation"], image["height"], image["width"])
        except (ValueError, TypeError) as error:
            raise InvalidDataset(path, f"{image['file_name']}: {error}", annotation=each.get("id")) from error
        masks[name] = masks[name] | mask if name in masks else mask
    return masks


def _structure(number: int, names: Mapping[int, str]) -> str:
    """Name of a category: as in the file, else by its published number."""
    if names.get(number) in CATEGORY_IDS.values():
        return names[number]
    if number not in CATEGORY_IDS:
        raise ValueError(f"category {number} is none of {', '.join(CATEGORY_IDS.values())}")
    return CATEGORY_IDS[number]


def _strip(root: Path, file_name: str, masks: Mapping[str, Mask], known: Placement, split: str) -> Imported:
    """A strip, or the reason why the picture is skipped."""
    path = root / IMAGES / file_name
    pixels = gray_picture(path)
    if not masks:
        return Skipped(name=file_name, reason="nothing is labelled")
    if any(mask.shape != pixels.shape for mask in masks.values()):
        raise InvalidDataset(
            path, f"is {pixels.shape[1]} x {pixels.shape[0]}, not as large as its labels say"
        )
    region = known.region_px or _region(masks, pixels)
    check_region(path, region, pixels)
    x0, y0, x1, y1 = region
    parts = {name: mask[y0 : y1 + 1, x0 : x1 + 1] for name, mask in masks.items()}
    return _labelled(file_name, pixels[y0 : y1 + 1, x0 : x1 + 1], parts, known, split)


def _labelled(
    file_name: str, pixels: NDArray[np.uint8], masks: Mapping[str, Mask], known: Placement, split: str
) -> Imported:
    """A left ventricle with its beats if both walls are labelled, else a negative or skipped."""
    calibration = known.calibration or NOMINAL
    walls, cycles = None, []
    is_lv = set(masks) == {IVS, LVPW}
    if is_lv:
        walls = wall_curves(masks[IVS], masks[LVPW])
        cycles = cycles_of(walls, calibration, len(pixels))
        if not cycles:
            return Skipped(name=file_name, reason="no whole beat between the labelled walls")
    elif IVS in masks or LVPW in masks:
        return Skipped(name=file_name, reason=f"labelled {', '.join(sorted(masks))}: neither LV nor AV")
    return LabelledStrip(
        name=file_name,
        kind=LEFT_VENTRICLE if is_lv else NEGATIVE_KIND,
        pixels=pixels,
        calibration=calibration,
        cycles=tuple(cycles),
        walls_px=walls,
        attributes=ATTRIBUTES
        | {
            "split": split,
            "exam": file_name.split("_", maxsplit=1)[0],
            "calibration": "given" if known.calibration else "nominal: centimetres mean nothing",
        },
    )


def _region(masks: Mapping[str, Mask], pixels: NDArray[np.uint8]) -> Region:
    """The labelled columns, from RAMEM's top of the strip to the last row."""
    every = np.logical_or.reduce(list(masks.values()))
    columns, rows = np.flatnonzero(every.any(axis=0)), np.flatnonzero(every.any(axis=1))
    height, width = pixels.shape
    if not len(columns):
        return 0, 0, width - 1, height - 1
    top = min(int(STRIP_TOP * max(height, width)), int(rows[0]))
    return int(columns[0]), top, int(columns[-1]), height - 1
