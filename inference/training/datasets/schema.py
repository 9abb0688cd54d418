"""Schema of `annotations.json`: COCO keypoints with a calibration in each image record.

Coordinates in the file have their origin at the outer corner of the top-left pixel, as in COCO boxes, CVAT
and Label Studio: x to the right, y down, a pixel's centre at (column + 0.5, row + 0.5). Strip pixels in the
program have their origin at the centre of that pixel, so coordinates in the file are half a pixel larger.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from inference.labelled import CycleTruth
from inference.types import LANDMARK_ORDER, Calibration, as_landmarks

ANNOTATIONS = "annotations.json"
IMAGES, WALLS = "images", "walls"
CATEGORY = "cycle"
HALF_PX = 0.5
DECIMALS = 2
"""Coordinates are written to a hundredth of a pixel."""
SKELETON = ((1, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8))
"""Lines down each phase, counted from 1 as in COCO."""


class Record(BaseModel):
    """Frozen; unknown fields are ignored, wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CategoryRecord(Record):
    """The one category."""

    id: int = 1
    name: Literal["cycle"] = "cycle"
    supercategory: str = "M-mode"
    keypoints: tuple[str, ...] = LANDMARK_ORDER
    skeleton: tuple[tuple[int, int], ...] = SKELETON


class ImageRecord(Record):
    """One strip: its file below `images/`, its size in pixels, its calibration and what it shows."""

    id: int
    file_name: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    cm_per_px_y: float = Field(gt=0)
    s_per_px_x: float = Field(gt=0)
    kind: str = Field(min_length=1)
    name: str = ""
    attributes: Mapping[str, str] = {}
    walls: str | None = None
    """File below `walls/`: a NumPy archive with `walls_px` (4, width) float32, NaN where unknown."""

    @property
    def calibration(self) -> Calibration:
        """Physical size of one pixel."""
        return Calibration(cm_per_px_y=self.cm_per_px_y, s_per_px_x=self.s_per_px_x)


class AnnotationRecord(Record):
    """One cycle: box (x, y, width, height) and eight times (x, y, visibility)."""

    id: int
    image_id: int
    category_id: int = 1
    bbox: tuple[float, float, float, float]
    keypoints: tuple[float, ...] = Field(min_length=24, max_length=24)
    num_keypoints: int = 8
    area: float = 0.0
    iscrowd: int = 0

    @property
    def cycle(self) -> CycleTruth:
        """The cycle in strip pixels."""
        x, y, width, height = self.bbox
        points = np.array(self.keypoints).reshape(-1, 3)[:, :2] - HALF_PX
        box = (x - HALF_PX, y - HALF_PX, x + width - HALF_PX, y + height - HALF_PX)
        return CycleTruth(box_px=box, landmarks_px=as_landmarks(points))


class Document(Record):
    """The whole of `annotations.json`."""

    info: Mapping[str, Any] = {}
    categories: tuple[CategoryRecord, ...] = Field(min_length=1, max_length=1)
    images: tuple[ImageRecord, ...] = Field(min_length=1)
    annotations: tuple[AnnotationRecord, ...] = ()


def annotation_record(number: int, image_id: int, cycle: CycleTruth) -> AnnotationRecord:
    """The record of a cycle, in coordinates of the file."""
    x0, y0, x1, y1 = (round(float(v) + HALF_PX, DECIMALS) for v in cycle.box_px)
    width, height = round(x1 - x0, DECIMALS), round(y1 - y0, DECIMALS)
    points = (*cycle.landmarks_px.diastole, *cycle.landmarks_px.systole)
    return AnnotationRecord(
        id=number,
        image_id=image_id,
        bbox=(x0, y0, width, height),
        keypoints=tuple(v for x, y in points for v in (_hundredth(x), _hundredth(y), 2)),
        area=round(width * height, DECIMALS),
    )


def _hundredth(value: float) -> float:
    return round(float(value) + HALF_PX, DECIMALS)
