"""Accuracy of the detector: average precision, most probable box, reliability of the probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.scored_strips import ScoredStrip
from inference.networks.preprocessing import Box

MATCH_IOU = 0.5
PROBABILITY_EDGES = tuple(k / 10 for k in range(11))

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MatchedBoxes:
    """All boxes of the detector on all strips, matched with the true cycles."""

    probability: Floats
    """(N,) 0…1."""
    right: NDArray[np.bool_]
    """(N,) True where a box is the first to match a true cycle."""
    truths: int
    """Number of true cycles."""


@dataclass(frozen=True, kw_only=True)
class ProbabilityBin:
    """Boxes of similar stated probability, and the observed share that are cycles."""

    stated: float
    observed: float
    count: int


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def matches(boxes: Sequence[Box], truths: Sequence[Box]) -> list[bool]:
    """Whether each box, most probable first, matches a true box of its own (IoU at least 0.5).

    A box takes the free true box it overlaps most; a second box on the same cycle is wrong.
    """
    free, right = list(truths), []
    for box in boxes:
        best = max(free, key=lambda truth: iou(box, truth), default=None)
        right.append(best is not None and iou(box, best) >= MATCH_IOU)
        if best is not None and right[-1]:
            free.remove(best)
    return right


def matched_boxes(scored: Sequence[ScoredStrip]) -> MatchedBoxes:
    """All boxes of all strips; on other kinds than left ventricles every box is wrong."""
    probability: list[float] = []
    right: list[bool] = []
    for one in scored:
        probability += [box.probability for box in one.boxes]
        right += matches([box.xyxy for box in one.boxes], [truth.box_px for truth in one.truths])
    return MatchedBoxes(
        probability=np.array(probability, np.float64),
        right=np.array(right, np.bool_),
        truths=sum(len(one.truths) for one in scored),
    )


def average_precision(found: MatchedBoxes) -> float | None:
    """Area under the precision envelope over recall, at every box; None without true cycles."""
    if not found.truths:
        return None
    order = np.argsort(-found.probability, kind="stable")
    hits = np.cumsum(found.right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(hits / found.truths, prepend=0.0)
    return float(np.sum(falling * steps))


def best_box_hits(one: ScoredStrip) -> bool:
    """True if the most probable box of a strip overlaps a true cycle with IoU of at least 0.5."""
    best = one.boxes[:1]
    return any(iou(box.xyxy, truth.box_px) >= MATCH_IOU for box in best for truth in one.truths)


def probability_reliability(found: MatchedBoxes) -> list[ProbabilityBin]:
    """One bin per tenth of the probability scale that contains a box."""
    bins = []
    for low, high in pairwise(PROBABILITY_EDGES):
        last = high == PROBABILITY_EDGES[-1]
        inside = (found.probability >= low) & ((found.probability < high) | last)
        if inside.any():
            stated, observed = found.probability[inside].mean(), found.right[inside].mean()
            bins.append(
                ProbabilityBin(stated=float(stated), observed=float(observed), count=int(inside.sum()))
            )
    return bins
