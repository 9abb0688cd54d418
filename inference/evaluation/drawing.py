"""Strips with true and found landmarks drawn on them, as PNG."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inference.evaluation.scored_strips import ScoredStrip
from inference.types import CycleBox, Landmarks, Point

TRUE_RGB, FOUND_RGB, RIM_RGB = (86, 180, 233), (240, 165, 0), (0, 0, 0)
"""Sky blue and orange can be told apart with every common colour blindness; the shapes differ too."""
LARGEST_PX = (960, 640)
MOST_ENLARGED = 3.0
MARK_PX = 6
TEXT_PX = 15
MOST_BOXES = 3
ROW_PX = 1100
"""Width of a row of a long strip."""


def strip_png(one: ScoredStrip) -> bytes:
    """True landmarks as rings, found ones as crosses; on a refused strip the most probable boxes."""
    sketch = Sketch(one.source().pixels)
    for truth in one.truths:
        sketch.rings(truth.landmarks_px)
    if one.result.measured:
        for index in one.result.used:
            sketch.crosses(one.result.cycles[index].landmarks)
        sketch.boxes([one.result.cycles[one.result.chosen].box])
    else:
        sketch.boxes(one.boxes[:MOST_BOXES])
    return png(sketch.image)


def rows_png(gray: NDArray[np.uint8], boxes: Sequence[CycleBox]) -> bytes:
    """A long strip (height, width) with boxes on it, cut into rows."""
    sketch = Sketch(gray, scale=1.0)
    sketch.boxes(boxes)
    width, height = sketch.image.size
    rows = -(-width // ROW_PX)
    page = Image.new("RGB", (ROW_PX, rows * height))
    for row in range(rows):
        page.paste(sketch.image.crop((row * ROW_PX, 0, (row + 1) * ROW_PX, height)), (0, row * height))
    return png(page)


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


class Sketch:
    """An enlarged strip to draw on, in strip pixels (whole numbers are pixel centres)."""

    def __init__(self, pixels: NDArray[np.uint8], scale: float | None = None) -> None:
        height, width = pixels.shape
        self._scale = scale or float(
            np.clip(min(LARGEST_PX[0] / width, LARGEST_PX[1] / height), 1.0, MOST_ENLARGED)
        )
        size = round(width * self._scale), round(height * self._scale)
        enlarged = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        self.image = enlarged.convert("RGB")
        self._pen = ImageDraw.Draw(self.image)

    def rings(self, landmarks: Landmarks) -> None:
        """Draw the true landmarks as open rings."""
        for x, y in self._points(landmarks):
            for radius, ink, width in ((MARK_PX + 1, RIM_RGB, 1), (MARK_PX, TRUE_RGB, 2)):
                box = (x - radius, y - radius, x + radius, y + radius)
                self._pen.ellipse(box, outline=ink, width=width)

    def crosses(self, landmarks: Landmarks) -> None:
        """Draw the found landmarks as crosses."""
        for x, y in self._points(landmarks):
            for ink, width in ((RIM_RGB, 5), (FOUND_RGB, 2)):
                for side in (-1, 1):
                    ends = (x - MARK_PX, y - side * MARK_PX, x + MARK_PX, y + side * MARK_PX)
                    self._pen.line(ends, fill=ink, width=width)

    def boxes(self, boxes: Iterable[CycleBox]) -> None:
        """Draw boxes with their probability."""
        font = ImageFont.load_default(TEXT_PX)
        for box in boxes:
            x0, y0 = self._at((box.x0, box.y0))
            x1, y1 = self._at((box.x1, box.y1))
            self._pen.rectangle((x0, y0, x1, y1), outline=FOUND_RGB, width=1)
            text = f"{box.probability:.2f}"
            self._pen.text((x0 + 4, y0 + 2), text, FOUND_RGB, font, stroke_width=2, stroke_fill=RIM_RGB)

    def _points(self, landmarks: Landmarks) -> list[Point]:
        return [self._at(point) for point in (*landmarks.diastole, *landmarks.systole)]

    def _at(self, point: Point) -> Point:
        return (point[0] + 0.5) * self._scale, (point[1] + 0.5) * self._scale
