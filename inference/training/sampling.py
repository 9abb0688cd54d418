"""Range-extended sampling and augmentation of strips."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from inference.networks.landmarks import shifted
from inference.networks.preprocessing import Box, to_unit

CONDITION_HALF_LENGTH = 0.25
"""The sampling-condition region is the middle half of the cycle (patent [0113])."""
ACROSS = 0.1
"""Greatest shift of a crop in depth; a larger one would lose a wall."""
INSIDE = 0.02
"""Least distance of the landmarks from the crop's edges, as a share of it."""
PATCHED, OUT_OF_FOCUS = 0.35, 0.3
"""Shares of the images that get patches, or are blurred."""
MOST_BLUR_PX = (0.9, 1.4)
"""Greatest sigma in depth and in time."""
GAMMA, MOST_GRAIN = (0.6, 1.6), 0.3
DEPTH_SLIDERS, DEPTH_GAIN = 6, 0.2
"""Number of depth gain sliders, and standard deviation of the logarithm of their gain."""
ROWS_CUT, MOST_ROWS_CUT = 0.3, 0.15
"""Share of the strips that are cut at either end, and greatest share of the rows cut."""
EDGE_DEVIATION = 0.04
"""Standard deviation of a detected edge from the true one, as a share of the box."""
WRONG_BORDER_SHARE = 0.35
"""Share of edges that a detector puts on a wrong border, such as the right ventricular wall."""
WRONG_BORDER_DEVIATION = (0.06, 0.15)
"""Standard deviation of those, in time and in depth."""
LEFT_EDGE = -0.5
"""A box may start at the outer edge of the first pixel."""


def range_extended_crop(rng: np.random.Generator, box: Box, points: NDArray[np.float64]) -> Box:
    """A crop of 0.9 to 1.1 times the cycle, centred in its middle half, that contains all eight points."""
    for _ in range(30):
        along = rng.uniform(-CONDITION_HALF_LENGTH, CONDITION_HALF_LENGTH)
        candidate = shifted(box, along, rng.uniform(-ACROSS, ACROSS), rng.uniform(0.9, 1.1))
        unit = to_unit(points, candidate)
        if unit.min() > INSIDE and unit.max() < 1 - INSIDE:
            return candidate
    return box


def jittered(rng: np.random.Generator, box: Box) -> Box:
    """The box with errors as a detector makes them."""
    width, height = box[2] - box[0], box[3] - box[1]
    deviation = np.where(rng.random(4) < WRONG_BORDER_SHARE, WRONG_BORDER_DEVIATION * 2, EDGE_DEVIATION)
    off = rng.normal(0, deviation) * (width, height, width, height)
    return box[0] + off[0], box[1] + off[1], box[2] + off[2], box[3] + off[3]


def random_box(rng: np.random.Generator, shape: tuple[int, int], s_per_px: float) -> Box:
    """A box of a cycle's size anywhere in a strip of (height, width) without cycles."""
    height, width = shape
    long = min(rng.uniform(0.33, 1.4) / s_per_px, float(width))
    tall = height * rng.uniform(0.3, 1.0)
    x, y = rng.uniform(0, width - long), rng.uniform(0, height - tall)
    return x - 0.5, y - 0.5, x + long - 0.5, y + tall - 0.5


def vary(rng: np.random.Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Random focus, gain curve, depth gain, grain, noise and patches; the labels stay valid."""
    values = pixels / 255.0
    if rng.random() < OUT_OF_FOCUS:
        values = gaussian_filter(values, rng.uniform(0, MOST_BLUR_PX))
    values = values ** rng.uniform(*GAMMA) * depth_gain(rng, len(values))[:, None]
    grain = gaussian_filter1d(rng.normal(size=values.shape), rng.uniform(0.3, 3), axis=1)
    values *= 1 + rng.uniform(0, MOST_GRAIN) * grain
    values += rng.normal(0, rng.uniform(0, 0.05), values.shape)
    if rng.random() < PATCHED:
        for _ in range(int(rng.integers(1, 4))):
            patch(rng, values)
    return (255 * np.clip(values, 0, 1)).astype(np.uint8)


def depth_gain(rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
    """(rows,) gain factors of randomly set depth gain sliders."""
    sliders = np.exp(rng.normal(0, DEPTH_GAIN, DEPTH_SLIDERS))
    return np.interp(np.arange(rows), np.linspace(0, rows - 1, DEPTH_SLIDERS), sliders)


def patch(rng: np.random.Generator, values: NDArray[np.float64]) -> None:
    """Hide a small rectangle, in place."""
    height, width = values.shape
    y, x = rng.integers(height), rng.integers(width)
    tall, wide = (int(side / rng.uniform(6, 20)) + 1 for side in (height, width))
    values[y : y + tall, x : x + wide] = rng.choice([0.0, 0.8])


def depth_window(
    rng: np.random.Generator, pixels: NDArray[np.uint8], boxes: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The strip without some of its first and last rows, and its boxes (N, 4); no box is cut."""
    rows = len(pixels)
    first, last = (rng.uniform(0, MOST_ROWS_CUT) * rows * (rng.random() < ROWS_CUT) for _ in range(2))
    top, bottom = int(first), rows - int(last)
    if len(boxes):
        top = max(min(top, int(np.floor(boxes[:, 1].min() + 0.5))), 0)
        bottom = min(max(bottom, int(np.ceil(boxes[:, 3].max() + 0.5))), rows)
    return pixels[top:bottom], boxes - [0, top, 0, top]


def time_window(
    rng: np.random.Generator, pixels: NDArray[np.uint8], boxes: NDArray[np.float64], *, most_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A random half or more of the strip, at most `most_px` wide, and the boxes (N, 4) wholly in it."""
    width = pixels.shape[1]
    keep = min(int(width * rng.uniform(0.5, 1.0)), most_px)
    start = int(rng.integers(width - keep + 1))
    moved = boxes - [start, 0, start, 0]
    whole = (moved[:, 0] >= LEFT_EDGE) & (moved[:, 2] <= keep - 0.5)
    return pixels[:, start : start + keep], moved[whole]
