"""Label Studio's JSON export: rectangles with keypoints below them, any number per picture.

Positions are percentages of the picture, with 0 at its outer edge; each keypoint names the rectangle it
belongs to (`parentID`).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from inference.training.datasets.errors import InvalidDataset, invalid_if_malformed
from inference.training.imports.tracings import TracedPicture, Tracing
from inference.types import LANDMARK_ORDER

RECTANGLE, KEYPOINT = "rectanglelabels", "keypointlabels"


def is_label_studio(labels: Path) -> bool:
    """True for a list of tasks; a COCO file is one object."""
    with labels.open("rb") as file:
        return file.read(64).lstrip().startswith(b"[")


def read_label_studio(labels: Path) -> list[TracedPicture]:
    """Every task of an exported file.

    Raises:
        InvalidDataset: names the file and the invalid region.
    """
    with invalid_if_malformed(labels, "is no Label Studio export"):
        tasks = json.loads(labels.read_bytes())
        return [
            TracedPicture(name=_name(task), tracings=tuple(_tracings(labels, _regions(task))))
            for task in tasks
        ]


def _name(task: Mapping[str, Any]) -> str:
    """The picture's file name, from the upload or the end of its URL."""
    address = task.get("file_upload") or task["data"].get("image") or next(iter(task["data"].values()), "")
    return PurePosixPath(unquote(str(address)).split("?d=")[-1]).name


def _regions(task: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The regions of the last annotation that was not cancelled."""
    drawn = [each for each in task["annotations"] if not each.get("was_cancelled")]
    return drawn[-1]["result"] if drawn else ()


def _tracings(labels: Path, regions: Sequence[Mapping[str, Any]]) -> list[Tracing]:
    points: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    rectangles = {}
    for region in regions:
        if region["type"] == RECTANGLE:
            rectangles[region["id"]] = region
        elif region["type"] == KEYPOINT:
            parent = region.get("parentID")
            if parent is None:
                raise InvalidDataset(labels, "keypoint lies under no rectangle", annotation=region["id"])
            points[parent][region["value"][KEYPOINT][0]] = _pixels(region, "x", "y")
    return [_tracing(labels, region, points[number]) for number, region in rectangles.items()]


def _tracing(
    labels: Path, rectangle: Mapping[str, Any], points: Mapping[str, tuple[float, float]]
) -> Tracing:
    missing = [name for name in LANDMARK_ORDER if name not in points]
    if missing:
        raise InvalidDataset(labels, f"keypoints missing: {', '.join(missing)}", annotation=rectangle["id"])
    if rectangle["value"].get("rotation"):
        raise InvalidDataset(labels, "a cycle box cannot be turned", annotation=rectangle["id"])
    x, y = _pixels(rectangle, "x", "y")
    width, height = _pixels(rectangle, "width", "height")
    return Tracing(
        id=rectangle["id"],
        points=np.array([points[name] for name in LANDMARK_ORDER]),
        box=(x, y, x + width, y + height),
    )


def _pixels(region: Mapping[str, Any], along: str, across: str) -> tuple[float, float]:
    value = region["value"]
    return (
        value[along] / 100 * region["original_width"],
        value[across] / 100 * region["original_height"],
    )
