"""Count the beats on a picture without time scale, from the cycles that the detector finds."""

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
"""Beat duration assumed when a time scale is tried; ordinary in the detector's training data."""
BEAT_WIDTHS_PX = (20, 28, 40, 56, 80, 112, 160)
"""Beat widths that are tried."""
BEATS_PER_WINDOW = 8
"""Width of a detector window; longer pictures are cut into windows that overlap by half."""
SAME_BEAT_IOU = 0.3
"""Boxes that overlap by more are the same beat."""
COUNTED = 0.5
"""Least probability of a counted box."""
LEAST_FOR_RHYTHM, REGULAR = 4, 0.15
"""Least cycles that define a rhythm, and the greatest median deviation of their distances from a whole
number of beats."""


@dataclass(frozen=True, kw_only=True)
class CountedBeats:
    """The chosen time scale, the cycles found at it, and the number of beats."""

    s_per_px: float
    boxes: tuple[CycleBox, ...]
    beats: int
    """Over the whole picture, see `beats_at_rhythm`."""


def count_beats(gray: NDArray[np.uint8], model: Model) -> CountedBeats:
    """Count beats on (height, width) gray pixels of unknown time scale.

    The time scale with the largest sum of box probabilities is chosen, regardless of the count.
    """
    tried = {BEAT_S / width: boxes_at(gray, width, model) for width in BEAT_WIDTHS_PX}
    s_per_px = max(tried, key=lambda scale: sum(box.probability for box in tried[scale]))
    counted = [box for box in tried[s_per_px] if box.probability >= COUNTED]
    boxes = tuple(sorted(counted, key=lambda box: box.x0))
    return CountedBeats(s_per_px=s_per_px, boxes=boxes, beats=beats_at_rhythm(boxes, gray.shape[1]))


def beats_at_rhythm(boxes: Sequence[CycleBox], columns: int) -> int:
    """Beats of a picture `columns` wide, including those too faint to detect.

    The median distance of the found cycles (`boxes`, in order of time) is extrapolated over the picture.
    With an irregular rhythm, or too few cycles for one, only the found cycles are counted.
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
    """Boxes if a beat is `beat_px` wide, without duplicates from overlapping windows."""
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
    """Strips of `width_px` columns, each starting half a width after the previous one."""
    rows, columns = gray.shape
    for x0 in range(0, max(1, columns - width_px // 2), width_px // 2):
        x1 = min(x0 + width_px, columns) - 1
        region = MModeRegion(x0=x0, y0=0, x1=x1, y1=rows - 1, calibration=calibration, index=0)
        yield MModeStrip(pixels=np.ascontiguousarray(gray[:, x0 : x1 + 1]), region=region, frame=0)
