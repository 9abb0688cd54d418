"""Reading of data sets: labels are checked first, pixels are loaded on demand."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from inference.labelled import LEFT_VENTRICLE, CycleTruth, LabelledStrip
from inference.training.datasets.errors import InvalidDataset
from inference.training.datasets.rules import faults
from inference.training.datasets.schema import ANNOTATIONS, HALF_PX, IMAGES, WALLS, Document, ImageRecord
from inference.types import LANDMARK_ORDER


@dataclass(frozen=True, kw_only=True)
class StripOnDisk:
    """One strip without its pixels and walls, which `load` reads."""

    folder: Path
    image: ImageRecord
    cycles: tuple[CycleTruth, ...]

    def load(self) -> LabelledStrip:
        """The strip with pixels and walls.

        Raises:
            InvalidDataset: a file does not match its record.
        """
        return LabelledStrip(
            name=self.image.name or self.image.file_name,
            kind=self.image.kind,
            pixels=_pixels(self.folder / IMAGES / self.image.file_name),
            calibration=self.image.calibration,
            cycles=self.cycles,
            walls_px=_walls(self.folder / WALLS / self.image.walls, self.image) if self.image.walls else None,
            attributes=self.image.attributes,
        )


class StripsOnDisk(Sequence[LabelledStrip]):
    """The strips of one data set, loaded one by one; can be pickled."""

    def __init__(self, records: Sequence[StripOnDisk]) -> None:
        self.records = tuple(records)
        """The strips without pixels: labels, calibration and sizes at no cost."""

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> LabelledStrip: ...
    @overload
    def __getitem__(self, index: slice) -> "StripsOnDisk": ...
    def __getitem__(self, index: int | slice) -> "LabelledStrip | StripsOnDisk":
        if isinstance(index, slice):
            return StripsOnDisk(self.records[index])
        return self.records[index].load()


def read_dataset(folder: Path) -> StripsOnDisk:
    """The data set in `folder`, with every label checked and every file present.

    Raises:
        InvalidDataset: names the file and, if known, the annotation.
    """
    path = folder / ANNOTATIONS
    document = _parse(path)
    if document.categories[0].keypoints != LANDMARK_ORDER:
        raise InvalidDataset(path, f"keypoints must be {', '.join(LANDMARK_ORDER)}")
    _unique(path, "image id", [image.id for image in document.images])
    _unique(path, "file_name", [image.file_name for image in document.images])
    _unique(path, "annotation id", [each.id for each in document.annotations])
    for image in document.images:
        _check_files(folder, image)
    cycles = _cycles(path, document)
    return StripsOnDisk(
        [
            StripOnDisk(folder=folder, image=image, cycles=tuple(cycles.get(image.id, ())))
            for image in document.images
        ]
    )


def _parse(path: Path) -> Document:
    try:
        return Document.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise InvalidDataset(path, f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise _named(path, error) from error
    except ValueError as error:
        raise InvalidDataset(path, f"is no JSON: {error}") from error


def _named(path: Path, error: ValidationError) -> InvalidDataset:
    """The first error, with file name or annotation id instead of a list index."""
    first = error.errors(include_url=False)[0]
    document, where = json.loads(path.read_bytes()), first["loc"]
    entry = document
    if len(where) > 1 and where[0] in ("images", "annotations"):
        entry = document[where[0]][where[1]]
    what = f"{'.'.join(str(part) for part in where)}: {first['msg']}"
    if isinstance(entry, Mapping) and where[:1] == ("images",):
        return InvalidDataset(path, f"image {entry.get('file_name')}: {what}")
    if isinstance(entry, Mapping) and where[:1] == ("annotations",):
        return InvalidDataset(path, what, annotation=entry.get("id"))
    return InvalidDataset(path, what)


def _unique(path: Path, what: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise InvalidDataset(path, f"{what} {value} occurs twice")
        seen.add(value)


def _check_files(folder: Path, image: ImageRecord) -> None:
    for below, name in ((IMAGES, image.file_name), (WALLS, image.walls)):
        if name is None:
            continue
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InvalidDataset(folder / ANNOTATIONS, f"{name} lies outside the data set")
        if not (folder / below / name).is_file():
            raise InvalidDataset(folder / below / name, "is missing")
    path = folder / IMAGES / image.file_name
    try:
        with Image.open(path) as picture:
            size, mode = picture.size, picture.mode
    except OSError as error:
        raise InvalidDataset(path, f"is no image: {error}") from error
    if mode != "L":
        raise InvalidDataset(path, f"must be 8-bit gray, not {mode}")
    if size != (image.width, image.height):
        raise InvalidDataset(
            path, f"is {size[0]} x {size[1]}, its record says {image.width} x {image.height}"
        )


def _cycles(path: Path, document: Document) -> dict[int, list[CycleTruth]]:
    """The checked cycles by image id, in order of time."""
    images = {image.id: image for image in document.images}
    cycles = defaultdict(list)
    for each in document.annotations:
        image = images.get(each.image_id)
        if image is None:
            raise InvalidDataset(path, f"image {each.image_id} does not exist", annotation=each.id)
        file = path.parent / IMAGES / image.file_name
        if image.kind != LEFT_VENTRICLE:
            raise InvalidDataset(file, f"a cycle on a strip of kind {image.kind}", annotation=each.id)
        if 0 in each.keypoints[2::3]:
            raise InvalidDataset(file, "all eight keypoints must be labelled", annotation=each.id)
        if wrong := faults(each.cycle, image.width, image.height):
            raise InvalidDataset(file, "; ".join(wrong), annotation=each.id)
        cycles[each.image_id].append(each.cycle)
    return {image_id: sorted(some, key=lambda cycle: cycle.box_px[0]) for image_id, some in cycles.items()}


def _pixels(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            return np.array(picture, dtype=np.uint8)
    except OSError as error:
        raise InvalidDataset(path, f"cannot be decoded: {error}") from error


def _walls(path: Path, image: ImageRecord) -> NDArray[np.float32]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            walls = np.asarray(archive["walls_px"], dtype=np.float32)
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise InvalidDataset(path, f"holds no walls_px: {error}") from error
    if walls.shape != (4, image.width):
        raise InvalidDataset(path, f"walls_px is {walls.shape}, not (4, {image.width})")
    return walls - np.float32(HALF_PX)
