"""Cycles traced on pictures with any tool, as labelled strips.

Coordinates here are those of the tools: whole picture, origin at the outer corner of its top-left pixel.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from inference.labelled import LEFT_VENTRICLE, CycleTruth, LabelledStrip
from inference.networks.preprocessing import Box
from inference.training.datasets.errors import InvalidDataset
from inference.training.datasets.rules import faults
from inference.training.datasets.schema import HALF_PX
from inference.training.imports.placement import (
    Imported,
    Placements,
    Region,
    Skipped,
    bare,
    check_region,
    gray_picture,
)
from inference.types import as_landmarks

OTHER = "other"
"""Kind of a negative without a known kind."""


@dataclass(frozen=True, kw_only=True)
class Tracing:
    """One traced cycle: eight points in `LANDMARK_ORDER` and its box, if known."""

    id: int | str
    points: NDArray[np.float64]
    """(8, 2)."""
    box: Box | None


@dataclass(frozen=True, kw_only=True)
class TracedPicture:
    """Labels of one picture; `rectangles` are boxes not assigned to a tracing."""

    name: str
    tracings: tuple[Tracing, ...]
    rectangles: tuple[Box, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Options of an import."""

    placements: Placements
    folders: tuple[Path, ...]
    """Folders searched for the pictures, in this order."""
    unlabelled_are_negatives: bool = False
    source: str = ""


def strips_of(pictures: Iterable[TracedPicture], choices: Choices) -> Iterator[Imported]:
    """Traced pictures as left ventricles, the others as negatives or skipped.

    Raises:
        InvalidDataset: names the picture and the invalid annotation.
    """
    for picture in pictures:
        known = choices.placements.of(picture.name)
        kind = _kind(picture, known.kind, choices)
        if kind is None:
            yield Skipped(name=picture.name, reason="nothing is labelled")
            continue
        path = _find(picture.name, choices.folders)
        if known.calibration is None:
            raise InvalidDataset(path, "has no calibration: give it in the table or as an option")
        pixels = gray_picture(path)
        region = known.region_px or (0, 0, pixels.shape[1] - 1, pixels.shape[0] - 1)
        check_region(path, region, pixels)
        yield LabelledStrip(
            name=picture.name,
            kind=kind,
            pixels=pixels[region[1] : region[3] + 1, region[0] : region[2] + 1],
            calibration=known.calibration,
            cycles=_cycles(path, picture, region),
            attributes={"source": choices.source} if choices.source else {},
        )


def _kind(picture: TracedPicture, known: str | None, choices: Choices) -> str | None:
    """What the picture shows; None if it may simply not have been labelled yet."""
    if picture.tracings:
        return LEFT_VENTRICLE
    if known == LEFT_VENTRICLE:
        return None
    return known or (OTHER if choices.unlabelled_are_negatives else None)


def _find(name: str, folders: tuple[Path, ...]) -> Path:
    """The picture by its path in the export or by its name, with or without Label Studio's prefix."""
    names = (name, PurePosixPath(name).name, bare(name))
    guesses = [folder / each for folder in folders for each in names]
    return next((guess for guess in guesses if guess.is_file()), guesses[0])


def _cycles(path: Path, picture: TracedPicture, region: Region) -> tuple[CycleTruth, ...]:
    if len(picture.rectangles) > len(picture.tracings):
        raise InvalidDataset(
            path,
            f"{len(picture.rectangles)} rectangles, but points for {len(picture.tracings)}: Label Studio's "
            "COCO export keeps one cycle per picture, export as JSON instead",
        )
    return tuple(_cycle(path, tracing, picture.rectangles, region) for tracing in picture.tracings)


def _cycle(path: Path, tracing: Tracing, rectangles: tuple[Box, ...], region: Region) -> CycleTruth:
    """The tracing in strip pixels, its box clipped to the strip."""
    box = _box(tracing, rectangles)
    if box is None:
        raise InvalidDataset(path, "no cycle box is drawn around the eight points", annotation=tracing.id)
    corner = np.array(region[:2]) + HALF_PX
    width, height = region[2] - region[0] + 1, region[3] - region[1] + 1
    x, y = np.clip(np.reshape(box, (2, 2)) - corner, -HALF_PX, np.array([width, height]) - HALF_PX).T
    cycle = CycleTruth(
        box_px=(float(x[0]), float(y[0]), float(x[1]), float(y[1])),
        landmarks_px=as_landmarks(tracing.points - corner),
    )
    if wrong := faults(cycle, width, height):
        raise InvalidDataset(path, "; ".join(wrong), annotation=tracing.id)
    return cycle


def _box(tracing: Tracing, rectangles: tuple[Box, ...]) -> Box | None:
    """The smallest box that holds the points with some room at the sides.

    Without a drawn box the tools write the hull of the points, which has none.
    """
    left, top = tracing.points.min(axis=0)
    right, bottom = tracing.points.max(axis=0)
    own = (tracing.box,) if tracing.box is not None else ()
    around = [
        box
        for box in (*own, *rectangles)
        if box[0] < left - HALF_PX and box[1] <= top and box[2] > right + HALF_PX and box[3] >= bottom
    ]
    return min(around, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), default=None)
