"""Drawing of anti-aliased upright rectangles and of text with a halo on an RGB image."""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dicom_node.report.layout import Box

Colour = tuple[int, int, int]

BLACK: Final[Colour] = (0, 0, 0)
WHITE: Final[Colour] = (255, 255, 255)
HALO_OPACITY: Final = 0.8


class Canvas:
    """A picture to draw on, given as (rows, columns, 3) uint8 RGB.

    Coordinates are those of pixel edges, not centres: a pixel covers [column, column + 1). They may be
    fractional; a pixel that a shape covers in part is blended in that proportion.
    """

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self._pixels = picture.astype(np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        rows, columns = self._pixels.shape[:2]
        return columns, rows

    @property
    def area(self) -> Box:
        """The whole picture."""
        return Box(0, 0, *self.size)

    def grow(self, width: int, height: int) -> None:
        """Add black pixels to the right and below up to at least this size."""
        columns, rows = self.size
        right, below = max(width - columns, 0), max(height - rows, 0)
        self._pixels = np.pad(self._pixels, ((0, below), (0, right), (0, 0)))

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture, (rows, columns, 3) uint8 RGB."""
        drawn: NDArray[np.uint8] = np.rint(self._pixels).astype(np.uint8)
        return drawn

    def fill(self, box: Box, colour: Colour, opacity: float = 1.0) -> None:
        """Fill the part of a rectangle that lies on the picture."""
        width, height = self.size
        across, down = _coverage(box.x0, box.x1, width), _coverage(box.y0, box.y1, height)
        columns, rows = np.flatnonzero(across), np.flatnonzero(down)
        if rows.size and columns.size:
            window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            self._blend(window, np.outer(down[window[0]], across[window[1]]) * opacity, colour)

    def outline(self, box: Box, colour: Colour, thickness: float, opacity: float = 1.0) -> None:
        """Draw the border of a rectangle, on its inside."""
        x0, y0, x1, y1 = box.grown(-thickness)
        for edge in (
            box._replace(y1=y0),
            box._replace(y0=y1),
            Box(box.x0, y0, x0, y1),
            Box(x1, y0, box.x1, y1),
        ):
            self.fill(edge, colour, opacity)

    def text(self, x: float, y: float, text: str, *, colour: Colour, text_px: int) -> None:
        """Write one line with its upper left corner at (x, y), with a dark halo to be legible on any gray."""
        rim = max(1, round(text_px / 10))
        ink = _mask(text, text_px, rim, stroke=0)
        corner = round(x) - rim, round(y) - rim
        self._stamp(corner, _mask(text, text_px, rim, stroke=rim) * HALO_OPACITY, BLACK)
        self._stamp(corner, ink, colour)

    def _stamp(self, corner: tuple[int, int], mask: NDArray[Any], colour: Colour) -> None:
        """Blend `colour` through `mask`, clipped at the picture's edges."""
        width, height = self.size
        left, top = corner
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + mask.shape[1], width), min(top + mask.shape[0], height)
        if x0 < x1 and y0 < y1:
            self._blend(np.s_[y0:y1, x0:x1], mask[y0 - top : y1 - top, x0 - left : x1 - left], colour)

    def _blend(self, window: tuple[slice, slice], share: NDArray[Any], colour: Colour) -> None:
        part = self._pixels[window]
        part += (np.array(colour, np.float32) - part) * share[..., np.newaxis]


def text_width(text: str, text_px: int) -> int:
    """Return the width of one line in pixels."""
    width: float = _font(text_px).getlength(text)
    return round(width)


def line_height(text_px: int) -> int:
    """Return the distance of two lines in pixels."""
    return round(text_px * 1.3)


def _mask(text: str, text_px: int, rim: int, *, stroke: int) -> NDArray[Any]:
    """Return the coverage (0…1) of each pixel by a line of text, with a margin of `rim` pixels."""
    font = _font(text_px)
    size = text_width(text, text_px) + 2 * rim, sum(font.getmetrics()) + 2 * rim
    layer = Image.new("L", size)
    ImageDraw.Draw(layer).text((rim, rim), text, 255, font, stroke_width=stroke)
    coverage: NDArray[Any] = np.asarray(layer) / np.float32(255)
    return coverage


def _coverage(start: float, stop: float, length: int) -> NDArray[Any]:
    """Return the share (0…1) of each of `length` pixels that [start, stop) covers."""
    pixels = np.arange(length)
    covered: NDArray[Any] = np.clip(np.minimum(stop, pixels + 1) - np.maximum(start, pixels), 0, 1)
    return covered


@cache
def _font(text_px: int) -> Any:
    """Return the font that Pillow ships, so that a picture does not depend on the fonts of the machine."""
    return ImageFont.load_default(text_px)
