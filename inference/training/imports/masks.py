"""COCO segmentations as masks: polygons, plain and compressed run lengths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.bool_]
FINER = 4
"""Polygons are drawn at this scale, since Pillow rounds corners to whole pixels and fills the outline."""
BITS, MORE, NEGATIVE, OFFSET = 0x1F, 0x20, 0x10, 48
"""Encoding of compressed run lengths: five bits per character, from '0' on."""


def as_mask(segmentation: Any, height: int, width: int) -> Mask:
    """(height, width) mask of one COCO `segmentation`.

    Raises:
        ValueError: it is none of the three kinds, or of another size.
    """
    if isinstance(segmentation, Mapping):
        if list(segmentation.get("size", ())) != [height, width]:
            raise ValueError(f"run lengths of size {segmentation.get('size')}, image is [{height}, {width}]")
        counts = segmentation.get("counts")
        return from_runs(run_lengths(counts) if isinstance(counts, str) else counts, height, width)
    if isinstance(segmentation, Sequence) and segmentation and not isinstance(segmentation, str):
        return from_polygons(segmentation, height, width)
    raise ValueError("segmentation is neither polygons nor run lengths")


def run_lengths(text: str) -> list[int]:
    """Decode COCO's compressed run lengths.

    Each is a signed little-endian number of five-bit groups; from the fourth on it is the difference from
    the run two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - OFFSET
        value |= (code & BITS) << shift
        shift += 5
        if code & MORE:
            continue
        if code & NEGATIVE:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)  # noqa: PLR2004 - see above
        value = shift = 0
    return runs


def from_runs(runs: Any, height: int, width: int) -> Mask:
    """Runs of background and mask in turn, down the columns, background first."""
    lengths = np.asarray(runs, dtype=np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"run lengths do not add up to {height} x {width}")
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(width, height).T


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Mask:
    """Pixels of which more than half lies in a polygon (x, y, x, y, … in corner coordinates)."""
    fine = Image.new("L", (width * FINER, height * FINER))
    draw = ImageDraw.Draw(fine)
    for polygon in polygons:
        corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2) * FINER
        draw.polygon([(x, y) for x, y in corners], fill=1)
    covered = np.array(fine).reshape(height, FINER, width, FINER).sum(axis=(1, 3))
    return np.asarray(covered * 2 > FINER * FINER)
