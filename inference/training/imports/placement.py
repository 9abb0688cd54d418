"""Facts that labels of other tools lack: place of the strip in the picture, calibration, kind."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.labelled import LabelledStrip
from inference.training.datasets.errors import InvalidDataset
from inference.types import Calibration

REGION = ("x0", "y0", "x1", "y1")
SCALES = ("cm_per_px_y", "s_per_px_x")

Region = tuple[int, int, int, int]
"""First and last column and row (x0, y0, x1, y1) of the strip in its picture, inclusive."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A picture that gives no strip, and why."""

    name: str
    reason: str


Imported = LabelledStrip | Skipped


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Known facts of one picture; None where unknown."""

    calibration: Calibration | None = None
    region_px: Region | None = None
    kind: str | None = None


@dataclass(frozen=True, kw_only=True)
class Placements:
    """A table by file name, and defaults for pictures or facts not in it."""

    default: Placement = field(default_factory=Placement)
    by_name: Mapping[str, Placement] = field(default_factory=dict)

    def of(self, file_name: str) -> Placement:
        """The entry of a picture by its path in the label file or by its name, with the defaults."""
        names = (file_name, PurePosixPath(file_name).name, bare(file_name))
        own = next((self.by_name[name] for name in names if name in self.by_name), Placement())
        return Placement(
            calibration=own.calibration or self.default.calibration,
            region_px=own.region_px or self.default.region_px,
            kind=own.kind or self.default.kind,
        )


def bare(file_name: str) -> str:
    """The name of a picture without folder and without the eight digits Label Studio puts before it."""
    return re.sub(r"^[0-9a-f]{8}-", "", PurePosixPath(file_name).name)


def read_table(path: Path) -> dict[str, Placement]:
    """Read a CSV file with column file_name and optional cm_per_px_y, s_per_px_x, x0, y0, x1, y1, kind.

    Raises:
        InvalidDataset: names the file and the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataset(path, f"cannot be read: {error}") from error
    table = {}
    for line, row in enumerate(rows, start=2):
        try:
            table[row["file_name"]] = _placement(row)
        except KeyError as error:
            raise InvalidDataset(path, f"has no column {error}") from error
        except ValueError as error:
            raise InvalidDataset(path, f"line {line}: {error}") from error
    return table


def _placement(row: Mapping[str, str]) -> Placement:
    scales, region = _numbers(row, SCALES), _numbers(row, REGION)
    return Placement(
        calibration=Calibration(cm_per_px_y=scales[0], s_per_px_x=scales[1]) if scales else None,
        region_px=(round(region[0]), round(region[1]), round(region[2]), round(region[3]))
        if region
        else None,
        kind=(row.get("kind") or "").strip() or None,
    )


def _numbers(row: Mapping[str, str], names: tuple[str, ...]) -> list[float]:
    """The numbers of all columns, or none if all are empty.

    Raises:
        ValueError: some but not all are empty.
    """
    given = [(row.get(name) or "").strip() for name in names]
    if not any(given):
        return []
    if not all(given):
        raise ValueError(f"{', '.join(names)} belong together")
    return [float(value) for value in given]


def gray_picture(path: Path) -> NDArray[np.uint8]:
    """(height, width) luma of a picture file.

    Raises:
        InvalidDataset: the file is missing or not a picture.
    """
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("L"), dtype=np.uint8)
    except OSError as error:
        raise InvalidDataset(path, f"is missing or no picture: {error}") from error


def check_region(path: Path, region: Region, pixels: NDArray[np.uint8]) -> None:
    """Check that `region` lies inside the picture.

    Raises:
        InvalidDataset: it does not.
    """
    x0, y0, x1, y1 = region
    height, width = pixels.shape
    if not (0 <= x0 < x1 < width and 0 <= y0 < y1 < height):
        raise InvalidDataset(path, f"region {region} is not inside its {width} x {height} pixels")
