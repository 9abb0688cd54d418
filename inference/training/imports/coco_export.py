"""COCO keypoints as exported by CVAT and Label Studio.

- CVAT, "COCO Keypoints 1.0" (through Datumaro): `annotations/person_keypoints_<subset>.json`, pictures in
  `images/<subset>/` or `images/`. One annotation per skeleton, coordinates with fractions. `bbox` is the
  rectangle grouped with the skeleton, and the category is then the rectangle's; without one it is the hull
  of the points, which is not the cycle.
- Label Studio, "COCO": `result.json`, pictures in `images/`. Rectangles are separate annotations, and all
  keypoints of a picture are one annotation in whole pixels, with their hull as `bbox`: one cycle a picture.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inference.networks.preprocessing import Box
from inference.training.datasets.errors import InvalidDataset, invalid_if_malformed
from inference.training.imports.tracings import TracedPicture, Tracing
from inference.types import LANDMARK_ORDER


def label_file(source: Path) -> Path:
    """`source` itself, or the one JSON file in it or in its `annotations`.

    Raises:
        InvalidDataset: there are none or several.
    """
    if source.is_file():
        return source
    found = sorted([*source.glob("*.json"), *(source / "annotations").glob("*.json")])
    if len(found) != 1:
        raise InvalidDataset(source, f"holds {len(found)} JSON files: name the one with the labels")
    return found[0]


def picture_folders(labels: Path) -> tuple[Path, ...]:
    """Where the tools put the pictures, relative to the label file."""
    near, above = labels.parent, labels.parent.parent
    subset = labels.stem.removeprefix("person_keypoints_")
    return near, near / "images", above / "images" / subset, above / "images"


def read_coco(labels: Path, category: str | None = None) -> list[TracedPicture]:
    """Every picture of a COCO file; `category` names the one with the keypoints if there are several.

    Raises:
        InvalidDataset: names the file and the invalid annotation.
    """
    document = _read(labels)
    places, others = _landmarks(labels, document["categories"], category)
    tracings: dict[Any, list[Tracing]] = defaultdict(list)
    rectangles: dict[Any, list[Box]] = defaultdict(list)
    for each in document["annotations"]:
        try:
            if each.get("keypoints") and each["category_id"] not in others:
                tracings[each["image_id"]].append(_tracing(each, places))
            elif not each.get("keypoints") and not each.get("segmentation"):
                rectangles[each["image_id"]].append(_corners(each["bbox"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidDataset(labels, str(error), annotation=each["id"]) from error
    return [
        TracedPicture(
            name=image["file_name"],
            tracings=tuple(tracings[image["id"]]),
            rectangles=tuple(rectangles[image["id"]]),
        )
        for image in document["images"]
    ]


def _read(path: Path) -> Mapping[str, Any]:
    with invalid_if_malformed(path, "is no COCO file"):
        document = json.loads(path.read_bytes())
        _ = [(each["id"], each["file_name"]) for each in document["images"]]
        _ = [(each["image_id"], each["category_id"], each["id"]) for each in document["annotations"]]
        _ = [(each["id"], each["name"]) for each in document["categories"]]
    return dict(document)


def _landmarks(
    path: Path, categories: Sequence[Mapping[str, Any]], name: str | None
) -> tuple[Sequence[int], set[Any]]:
    """Index of each landmark among the keypoints (by name, else in order), and ids of other skeletons."""
    eight = [
        each
        for each in categories
        if len(each.get("keypoints") or ()) == len(LANDMARK_ORDER) and name in (None, each["name"])
    ]
    if len(eight) != 1:
        needed = f"one category {name}" if name else "one category"
        raise InvalidDataset(path, f"{needed} with eight keypoints is needed, found {len(eight)}")
    others = {each["id"] for each in categories if each.get("keypoints")} - {eight[0]["id"]}
    names = list(eight[0]["keypoints"])
    if set(names) == set(LANDMARK_ORDER):
        return [names.index(landmark) for landmark in LANDMARK_ORDER], others
    return range(len(LANDMARK_ORDER)), others


def _tracing(annotation: Mapping[str, Any], places: Sequence[int]) -> Tracing:
    marks = np.array(annotation["keypoints"], dtype=np.float64).reshape(len(LANDMARK_ORDER), 3)[list(places)]
    if not marks[:, 2].all():
        raise ValueError("all eight keypoints must be labelled")
    box = _corners(annotation["bbox"]) if annotation.get("bbox") else None
    return Tracing(id=annotation["id"], points=marks[:, :2], box=box)


def _corners(bbox: Sequence[float]) -> Box:
    x, y, width, height = (float(value) for value in bbox)
    return x, y, x + width, y + height
