"""The strips of a data set on one page, with their labels drawn on them, for visual inspection."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from inference.labelled import CycleTruth, LabelledStrip
from inference.types import Point

Colour = tuple[int, int, int]
DIASTOLE: Colour = (86, 180, 233)
SYSTOLE: Colour = (240, 165, 0)
"""Sky blue and orange can be told apart on gray and with every common colour blindness."""
BOX: Colour = (235, 235, 235)
WALL: Colour = (120, 200, 150)
PAPER: Colour = (18, 18, 18)
TEXT: Colour = (235, 235, 235)
COLUMNS = 3
CELL_PX = (560, 250)
"""(width, height) of one strip."""
GAP_PX, TITLE_PX, TEXT_PX = 16, 24, 15
FINER = 2
"""Everything is drawn this much larger and then reduced, for smooth lines."""
MARK_PX = 5


@dataclass(frozen=True, kw_only=True)
class _Pen:
    """Draws in strip pixels at one place of the sheet; sizes are in pixels of the finished sheet."""

    draw: ImageDraw.ImageDraw
    left: int
    top: int
    scale: Point
    """Along time and along depth; each axis fills its cell."""

    def at(self, point: Point) -> Point:
        """Strip pixels (whole numbers are pixel centres) to pixels of the sheet."""
        return self.left + (point[0] + 0.5) * self.scale[0], self.top + (point[1] + 0.5) * self.scale[1]

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line through `points`."""
        self.draw.line([self.at(point) for point in points], colour, round(width * FINER), joint="curve")

    def mark(self, point: Point, colour: Colour) -> None:
        """A short bar along time, with a dark rim to be visible on bright walls."""
        x, y = self.at(point)
        reach = MARK_PX * FINER
        for half, ink in ((2 * FINER, PAPER), (FINER, colour)):
            self.draw.rectangle((x - reach - half / 2, y - half, x + reach + half / 2, y + half), ink)


def contact_sheet(strips: Sequence[LabelledStrip], title: str) -> Image.Image:
    """All `strips` on one page: boxes, wall curves, landmarks of diastole and systole, names."""
    rows = -(-len(strips) // COLUMNS)
    pitch = CELL_PX[0] + GAP_PX, CELL_PX[1] + TITLE_PX + GAP_PX
    head = 2 * TITLE_PX + GAP_PX
    size = COLUMNS * pitch[0] + GAP_PX, head + rows * pitch[1] + GAP_PX
    sheet = Image.new("RGB", (size[0] * FINER, size[1] * FINER), PAPER)
    _head(ImageDraw.Draw(sheet), title)
    for index, strip in enumerate(strips):
        row, column = divmod(index, COLUMNS)
        _cell(sheet, GAP_PX + column * pitch[0], head + row * pitch[1], strip)
    return sheet.resize(size, Image.Resampling.LANCZOS)


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size_px * FINER)


def _head(draw: ImageDraw.ImageDraw, title: str) -> None:
    x, y = GAP_PX * FINER, GAP_PX * FINER
    draw.text((x, y), title, TEXT, _font(TEXT_PX + 3))
    y += TITLE_PX * FINER
    for text, colour in (
        ("end diastole", DIASTOLE),
        ("end systole", SYSTOLE),
        ("cycle box", BOX),
        ("wall", WALL),
    ):
        draw.text((x, y), text, colour, _font(TEXT_PX))
        x += round(draw.textlength(text + "     ", _font(TEXT_PX)))


def _cell(sheet: Image.Image, left: int, top: int, strip: LabelledStrip) -> None:
    """One strip with its name above it, stretched to fill its cell."""
    draw = ImageDraw.Draw(sheet)
    size = CELL_PX[0] * FINER, CELL_PX[1] * FINER
    place = left * FINER, (top + TITLE_PX) * FINER
    sheet.paste(Image.fromarray(strip.pixels).resize(size).convert("RGB"), place)
    draw.text((place[0], top * FINER), _caption(draw, strip), TEXT, _font(TEXT_PX))
    height, width = strip.pixels.shape
    pen = _Pen(draw=draw, left=place[0], top=place[1], scale=(size[0] / width, size[1] / height))
    if strip.walls_px is not None:
        for wall in strip.walls_px:
            _curve(pen, wall)
    for cycle in strip.cycles:
        _cycle(pen, cycle)


def _caption(draw: ImageDraw.ImageDraw, strip: LabelledStrip) -> str:
    """Name, kind and number of cycles, the name shortened to fit."""
    count = len(strip.cycles)
    beats = f", {count} cycle{'s' if count != 1 else ''}" if strip.is_lv else ""
    name = strip.name
    while draw.textlength(f"{name}… · {strip.kind}{beats}", _font(TEXT_PX)) > CELL_PX[0] * FINER:
        name = name[:-1]
    return f"{name if name == strip.name else name + '…'} · {strip.kind}{beats}"


def _curve(pen: _Pen, depths: np.ndarray) -> None:
    """A wall curve where it is known."""
    known = np.flatnonzero(np.isfinite(depths))
    for part in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        if len(part) > 1:
            pen.line([(float(x), float(depths[x])) for x in part], WALL, 1)


def _cycle(pen: _Pen, cycle: CycleTruth) -> None:
    x0, y0, x1, y1 = cycle.box_px
    pen.line([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], BOX, 1)
    marks = cycle.landmarks_px
    for points, colour in ((marks.diastole, DIASTOLE), (marks.systole, SYSTOLE)):
        pen.line(points, colour, 1)
        for point in points:
            pen.mark(point, colour)
