"""A strip under the pen, with the random numbers that decide what is drawn on it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inference.phantom.overlay.ranges import CHANCES, RANGES
from inference.phantom.parameters import Draw
from inference.phantom.scene import Timeline

T = TypeVar("T")
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache(maxsize=32)
def font(size_px: int) -> Font:
    """Pillow's own font: the same pixels on every computer."""
    return ImageFont.load_default(size=size_px)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A gray image, its pen and its time axis."""

    draw: Draw
    image: Image.Image
    pen: ImageDraw.ImageDraw
    time: Timeline
    heart_px: tuple[float, float] | None = None
    """First and last row of the heart, which nothing opaque may hide; None where there is none to measure."""

    @classmethod
    def over(
        cls,
        draw: Draw,
        pixels: NDArray[np.uint8],
        time: Timeline,
        heart_px: tuple[float, float] | None = None,
    ) -> "Canvas":
        """A canvas that starts as a copy of `pixels`, (height, columns) uint8."""
        image = Image.fromarray(pixels)
        return cls(draw=draw, image=image, pen=ImageDraw.Draw(image), time=time, heart_px=heart_px)

    @property
    def width(self) -> int:
        """Columns of the strip."""
        return self.image.width

    @property
    def height(self) -> int:
        """Rows of the strip."""
        return self.image.height

    def happens(self, name: str) -> bool:
        """Whether the drawing called `name` in `CHANCES` is made this time."""
        return self.draw.chance(CHANCES[name])

    def number(self, name: str) -> float:
        """One number from the range called `name` in `RANGES`."""
        return self.draw.between(*RANGES[name])

    def whole(self, name: str) -> int:
        """One whole number from the range called `name`, both ends possible."""
        low, high = RANGES[name]
        return int(self.draw.rng.integers(round(low), round(high) + 1))

    def column(self) -> int:
        """Any column of the strip."""
        return int(self.draw.rng.integers(self.width))

    def one_of(self, options: Sequence[T]) -> T:
        """Any one of the options; what shall be likelier stands there twice."""
        return options[int(self.draw.rng.integers(len(options)))]

    def dots(self, xy: Iterable[tuple[float, float]], gray: int, size_px: int) -> None:
        """Square dots with their top-left pixel at each (x, y)."""
        for left, top in xy:
            x, y = int(left), int(top)
            self.pen.rectangle((x, y, x + size_px - 1, y + size_px - 1), fill=gray)
