"""Writing of labelled strips as a data set."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from inference.labelled import LabelledStrip
from inference.training.datasets.errors import InvalidDataset
from inference.training.datasets.rules import faults
from inference.training.datasets.schema import (
    ANNOTATIONS,
    DECIMALS,
    HALF_PX,
    IMAGES,
    WALLS,
    AnnotationRecord,
    CategoryRecord,
    Document,
    ImageRecord,
    annotation_record,
)


@dataclass
class _Writer:
    folder: Path
    images: list[ImageRecord] = field(default_factory=list)
    annotations: list[AnnotationRecord] = field(default_factory=list)
    stems: set[str] = field(default_factory=set)


def write_dataset(folder: Path, strips: Iterable[LabelledStrip]) -> int:
    """Write pixels, walls and labels of every strip into `folder`; returns their number.

    The labels are written last: a folder without `annotations.json` is incomplete.

    Raises:
        InvalidDataset: a cycle is invalid, there are no strips, or `folder` already holds a data set.
    """
    if (folder / ANNOTATIONS).exists():
        raise InvalidDataset(folder / ANNOTATIONS, "already exists")
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    writer = _Writer(folder)
    for strip in strips:
        _write_strip(writer, strip)
    if not writer.images:
        raise InvalidDataset(folder, "no strips to write")
    document = Document(
        info={"description": "M-mode cycles and wall landmarks", "version": "1"},
        categories=(CategoryRecord(),),
        images=tuple(writer.images),
        annotations=tuple(writer.annotations),
    )
    text = json.dumps(document.model_dump(mode="json", exclude_none=True), indent=1)
    (folder / ANNOTATIONS).write_text(text + "\n", encoding="utf-8")
    return len(writer.images)


def _write_strip(writer: _Writer, strip: LabelledStrip) -> None:
    height, width = strip.pixels.shape
    image_id = len(writer.images) + 1
    stem = _unused(strip.name or strip.kind, writer.stems)
    for cycle in strip.cycles:
        number = len(writer.annotations) + 1
        if wrong := faults(cycle, width, height):
            raise InvalidDataset(strip.name, "; ".join(wrong), annotation=number)
        writer.annotations.append(annotation_record(number, image_id, cycle))
    Image.fromarray(strip.pixels).save(writer.folder / IMAGES / f"{stem}.png")
    writer.images.append(
        ImageRecord(
            id=image_id,
            file_name=f"{stem}.png",
            width=width,
            height=height,
            cm_per_px_y=strip.calibration.cm_per_px_y,
            s_per_px_x=strip.calibration.s_per_px_x,
            kind=strip.kind,
            name=strip.name,
            attributes=dict(strip.attributes),
            walls=_write_walls(writer.folder / WALLS, stem, strip),
        )
    )


def _write_walls(folder: Path, stem: str, strip: LabelledStrip) -> str | None:
    """Write the wall curves in coordinates of the file; as JSON they would dwarf the labels."""
    if strip.walls_px is None:
        return None
    folder.mkdir(exist_ok=True)
    walls = np.round(strip.walls_px.astype(np.float64) + HALF_PX, DECIMALS)
    np.savez_compressed(folder / f"{stem}.npz", walls_px=walls.astype(np.float32))
    return f"{stem}.npz"


def _unused(name: str, stems: set[str]) -> str:
    """A file name from the safe characters of `name`, unique in the set."""
    bare = re.sub(r"\.(png|jpe?g|bmp|tiff?|dcm)$", "", name, flags=re.IGNORECASE)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", bare).strip("._") or "strip"
    stem, number = plain, 1
    while stem.lower() in stems:
        number += 1
        stem = f"{plain}_{number}"
    stems.add(stem.lower())
    return stem
