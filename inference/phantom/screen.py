"""What machines draw over a strip: ECG, marks, tables, calipers, the sweep gap, JPEG."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.scene import Timeline


def dress(draw: Draw, pixels: NDArray[np.uint8], time: Timeline, rate_bpm: float) -> NDArray[np.uint8]:
    """The strip with everything a machine may draw over it; (height, columns) uint8."""
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    if draw.chance(0.7):
        ecg(draw, pen, time, image.size, rate_bpm)
    if draw.chance(0.6):
        marks(draw, pen, time, image.size)
    if draw.chance(0.15):
        table(draw, pen, image.size)
    if draw.chance(0.12):
        calipers(draw, pen, image.size)
    if time.gap_px is not None:
        pen.rectangle((time.gap_px[0], 0, time.gap_px[1] - 1, image.size[1]), fill=0)
    return compressed(draw, image) if draw.chance(0.5) else np.array(image)


def ecg(draw: Draw, pen: ImageDraw.ImageDraw, time: Timeline, size: tuple[int, int], rate_bpm: float) -> None:
    """A made-up trace anywhere in the strip. Its R waves need not fit: the network must not lean on it."""
    height = size[1]
    base = height * draw.rng.choice(
        [draw.between(0.02, 0.15), draw.between(0.85, 0.98), draw.between(0.1, 0.95)]
    )
    tall = height * draw.between(0.03, 0.12)
    phase = (time.t_s * rate_bpm / 60 + draw.between(0, 1)) % 1
    trace = _bump(phase, 0.3, 0.05, 0.25) + _bump(phase, 0.0, 0.012, 1.0) + _bump(phase, 0.86, 0.03, 0.15)
    gray, thick = int(draw.between(110, 255)), int(draw.rng.choice([1, 1, 2]))
    for start, stop in time.segments:
        xy = [(x, base - tall * trace[x]) for x in range(start, stop)]
        if len(xy) > 1:
            pen.line(xy, fill=gray, width=thick)


def _bump(phase: Curve, at: float, width: float, height: float) -> Curve:
    distance = np.minimum(np.abs(phase - at), 1 - np.abs(phase - at))
    return np.asarray(height * np.exp(-0.5 * (distance / width) ** 2))


def marks(draw: Draw, pen: ImageDraw.ImageDraw, time: Timeline, size: tuple[int, int]) -> None:
    """Dotted second marks and centimetre ticks."""
    gray, step = int(draw.between(60, 220)), max(8, size[1] // int(draw.between(6, 18)))
    every = max(20, round(draw.rng.choice([0.5, 1.0]) / time.s_per_px))
    for x in range(int(draw.between(0, every)), size[0], every):
        for y in range(step // 2, size[1], step):
            pen.rectangle((x, y, x + 1, y + 1), fill=gray)
    if draw.chance(0.4):
        for x in range(0, size[0], max(6, every // 5)):
            pen.line((x, size[1] - 1, x, size[1] - 6), fill=gray)


def table(draw: Draw, pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """A result table that hides one corner."""
    width, height = int(size[0] * draw.between(0.12, 0.28)), int(size[1] * draw.between(0.15, 0.45))
    x = 0 if draw.chance(0.5) else size[0] - width
    pen.rectangle((x, 0, x + width, height), fill=int(draw.between(0, 40)), outline=120)
    for y in range(3, height - 10, 11):
        pen.text((x + 3, y), f"LVIDd {draw.between(1, 9):.2f}", fill=int(draw.between(140, 255)))


def calipers(draw: Draw, pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """Someone's dotted caliper lines at arbitrary places: present, but saying nothing."""
    gray = int(draw.between(120, 255))
    for _ in range(int(draw.between(1, 4))):
        x, top = draw.between(0, size[0]), draw.between(0.1, 0.5) * size[1]
        bottom = top + draw.between(0.1, 0.5) * size[1]
        for y in np.arange(top, bottom, 3):
            pen.point((x, y), fill=gray)
        for y in (top, bottom):
            pen.line((x - 4, y, x + 4, y), fill=gray)


def compressed(draw: Draw, image: Image.Image) -> NDArray[np.uint8]:
    """The image after a lossy JPEG round trip."""
    memory = io.BytesIO()
    image.save(memory, "JPEG", quality=int(draw("jpeg_quality")))
    return np.array(Image.open(memory))
