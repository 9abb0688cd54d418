"""A small made-up 2D sector: what tells a reader which way the strip was cut."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

HALF_ANGLE = 0.62  # radians; most cardiac sectors open by about 70 degrees
WALLS = ((0.2, 0.012, 0.25), (0.36, 0.035, 0.5), (0.75, 0.045, 0.4), (0.83, 0.016, 1.0))
"""RV wall, septum, posterior wall, pericardium: depth and thickness as shares of the whole, brightness."""
GRAIN_PX, BEAMS = 2, 44
"""Speckle: pixels along a beam, and how many beams make the picture; it is wider than it is deep."""


def sector(
    pen: ImageDraw.ImageDraw,
    *,
    centre: tuple[int, int],
    radius: int,
    seed: int,
    echo: tuple[int, int, int] = (255, 255, 255),
) -> None:
    """A sector with its apex at `centre` (x, y), `radius` pixels deep, and its dotted cursor."""
    rng = np.random.default_rng(seed)
    gray = Image.fromarray(_fan(_tissue(rng, radius), radius))
    pen.bitmap((centre[0] - gray.width // 2, centre[1]), gray, fill=echo)
    lean = float(rng.uniform(-0.15, 0.15))
    for r in range(4, radius, 8):
        x, y = centre[0] + r * np.sin(lean), centre[1] + r * np.cos(lean)
        pen.rectangle((int(x), int(y), int(x) + 1, int(y) + 1), fill=(200, 200, 140))


def half_width(radius: int) -> int:
    """Pixels from the cursor to either side of a sector."""
    return int(radius * math.sin(HALF_ANGLE)) + 1


def _tissue(rng: np.random.Generator, radius: int) -> NDArray[np.float64]:
    """(radius, radius) of 0 to 1 along depth and beam: walls, a dark cavity between them, speckle."""
    depth, beam = np.meshgrid(np.linspace(0, 1, radius), np.linspace(-1, 1, radius), indexing="ij")
    level = 0.6 * np.exp(-depth / 0.06) + 0.16
    for at, thick, bright in WALLS:
        bend = at + rng.uniform(-0.09, 0.09) * beam + rng.uniform(-0.12, 0.04) * beam**2
        level += bright * rng.uniform(0.6, 1.2) * np.exp(-0.5 * ((depth - bend) / thick) ** 2)
    cavity = (depth - 0.55) / 0.14 + 0.5 * beam**2
    level *= 1 - 0.85 * np.exp(-(cavity**4))
    small = rng.random((radius // GRAIN_PX, BEAMS)).astype(np.float32)
    speckle = Image.fromarray(small).resize((radius, radius), Image.Resampling.BICUBIC)
    return np.asarray(np.clip(level * (0.35 + 1.1 * np.asarray(speckle)), 0, 1))


def _fan(polar: NDArray[np.float64], radius: int) -> NDArray[np.uint8]:
    """Depth and beam as a fan, (rows, columns) uint8, black around it; the apex is at its top middle."""
    half = half_width(radius)
    x, y = np.meshgrid(np.arange(-half, half + 1), np.arange(radius + 1))
    depth, angle = np.hypot(x, y), np.arctan2(x, y)
    inside = (depth < radius - 0.5) & (np.abs(angle) < HALF_ANGLE)
    beam = (angle / HALF_ANGLE + 1) / 2 * (radius - 1)
    rows, columns = np.minimum(depth, radius - 1).astype(int), np.clip(beam, 0, radius - 1).astype(int)
    return np.asarray(255 * polar[rows, columns] * inside, dtype=np.uint8)
