"""Counts beats on a strip without a scale, at the rhythm of the cycles that the detector sees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from inference.analyse import Model
from inference.networks.detector import detect
from inference.types import Calibration, CycleBox, MModeRegion, MModeStrip

BEAT_S = 0.8
"""An ordinary beat of the people the detector was trained on: a scale is tried by calling one so long."""
BEAT_WIDTHS_PX = (20, 28, 40, 56, 80, 112, 160)
BEATS_PER_WINDOW = 8
"""What an ordinary strip shows; a longer picture is looked at in windows that overlap by half."""
SAME_BEAT_IOU = 0.3
COUNTED = 0.5
"""A box counts when it is more probably a cycle than not."""
LEAST_FOR_RHYTHM, REGULAR = 4, 0.15
"""Cycles that a rhythm takes, and how far from a whole number of beats their distances may be."""


@dataclass(frozen=True, kw_only=True)
class CountedBeats:
    """The time scale at which the detector is surest of the most beats, those beats, and their number."""

    s_per_px: float
    boxes: tuple[CycleBox, ...]
    beats: int
    """Of the whole picture, see `beats_at_rhythm`."""


def count_beats(gray: NDArray[np.uint8], model: Model) -> CountedBeats:
    """Beats on (height, width) gray pixels whose seconds per pixel nobody knows.

    Every time scale at which a beat could be of ordinary length is tried; the one with the largest
    sum of probabilities is taken, without looking at how many beats there should be.
    """
    tried = {BEAT_S / width: boxes_at(gray, width, model) for width in BEAT_WIDTHS_PX}
    s_per_px = max(tried, key=lambda scale: sum(box.probability for box in tried[scale]))
    counted = [box for box in tried[s_per_px] if box.probability >= COUNTED]
    boxes = tuple(sorted(counted, key=lambda box: box.x0))
    return CountedBeats(s_per_px=s_per_px, boxes=boxes, beats=beats_at_rhythm(boxes, gray.shape[1]))


def beats_at_rhythm(boxes: Sequence[CycleBox], columns: int) -> int:
    """Beats of a picture `columns` wide, as one counts by hand: a heart goes on where it is hard to see.

    `boxes` are the cycles that were seen, in order of time. Of a rhythm that is not regular, only those
    count.
    """
    if len(boxes) < LEAST_FOR_RHYTHM:
        return len(boxes)
    gaps_px = np.diff([box.x0 for box in boxes])
    beats = gaps_px / np.median([box.x1 - box.x0 for box in boxes])
    whole = np.maximum(np.round(beats), 1)
    if np.median(np.abs(beats / whole - 1)) > REGULAR:
        return len(boxes)
    return round(columns / (float(gaps_px.sum()) / float(whole.sum())))


def boxes_at(gray: NDArray[np.uint8], beat_px: int, model: Model) -> list[CycleBox]:
    """Every box when a beat is taken to be `beat_px` wide, each beat once."""
    calibration = Calibration(cm_per_px_y=1.0, s_per_px_x=BEAT_S / beat_px)
    boxes = [
        box
        for strip in windows(gray, BEATS_PER_WINDOW * beat_px, calibration)
        for box in detect(model.detector, strip, model.device)
    ]
    if not boxes:
        return []
    corners, scores = torch.tensor([box.xyxy for box in boxes]), [box.probability for box in boxes]
    return [boxes[int(i)] for i in nms(corners, torch.tensor(scores), SAME_BEAT_IOU)]


def windows(gray: NDArray[np.uint8], width_px: int, calibration: Calibration) -> Iterator[MModeStrip]:
    """Strips of `width_px` columns, each starting half a width after the one before."""
    rows, columns = gray.shape
    for x0 in range(0, max(1, columns - width_px // 2), width_px // 2):
        x1 = min(x0 + width_px, columns) - 1
        region = MModeRegion(x0=x0, y0=0, x1=x1, y1=rows - 1, calibration=calibration, index=0)
        yield MModeStrip(pixels=np.ascontiguousarray(gray[:, x0 : x1 + 1]), region=region, frame=0)
