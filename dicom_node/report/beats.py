"""Drawing of the measured beats on the overlay: cycle boxes and calipers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dicom_node.report.canvas import BLACK, WHITE, Canvas, Colour
from dicom_node.report.layout import Box
from dicom_node.report.quantities import PHASES, calipers
from inference.types import CycleMeasurement

# Sky blue and orange can be told apart on gray, and with every common kind of colour blindness.
DIASTOLE: Final[Colour] = (70, 205, 255)
SYSTOLE: Final[Colour] = (255, 170, 30)
COLOURS: Final = {"diastole": DIASTOLE, "systole": SYSTOLE}
RIM_OPACITY: Final = 0.55


@dataclass(frozen=True, kw_only=True)
class Style:
    """Sizes in pixels, proportional to the picture."""

    text: int
    """Height of the text."""
    line: float
    """Thickness of a caliper."""
    bar: float
    """Half the length of the bar at a border."""

    @classmethod
    def of(cls, width: int, height: int) -> "Style":
        """Return the sizes that are legible when a picture of this size fills a screen."""
        text = max(11, round(min(width, height * 4 / 3) / 66))
        return cls(text=text, line=max(1.0, text / 11), bar=text * 0.55)


@dataclass(frozen=True, kw_only=True)
class Column:
    """The line of one phase of a beat, in edge coordinates (see `Canvas`)."""

    phase: str
    """A key of `PHASES`."""
    x: float
    rows: tuple[float, float, float, float]
    """The four borders, top down."""

    @property
    def colour(self) -> Colour:
        """The colour of the phase."""
        return COLOURS[self.phase]


def columns(cycle: CycleMeasurement) -> list[Column]:
    """Return diastole and systole of a beat; landmarks, in pixel centres, become edge coordinates."""
    lines = calipers(cycle.landmarks)
    found = []
    for phase, (septum, cavity, wall) in PHASES.items():
        (x, top), (_, upper) = lines[septum]
        rows = (top + 0.5, upper + 0.5, lines[cavity][1][1] + 0.5, lines[wall][1][1] + 0.5)
        found.append(Column(phase=phase, x=x + 0.5, rows=rows))
    return found


def edges(cycle: CycleMeasurement) -> Box:
    """Return the cycle box of a beat in edge coordinates."""
    return Box(*(value + 0.5 for value in cycle.box.xyxy))


def draw_chosen(canvas: Canvas, cycle: CycleMeasurement, style: Style) -> None:
    """Draw the cycle box, and per phase four bars on a line: solid in the walls, dotted in the cavity."""
    canvas.outline(edges(cycle), WHITE, style.line * 0.8, 0.55)
    for column in columns(cycle):
        top, upper, lower, bottom = column.rows
        for start, stop in ((top, upper), *_dots(upper, lower, style.line * 5), (lower, bottom)):
            _rimmed(canvas, Box(column.x, start, column.x, stop), style.line / 2, column.colour)
        for row in column.rows:
            _bar(canvas, column, row, style.bar, style)


def draw_other(canvas: Canvas, cycle: CycleMeasurement, style: Style) -> None:
    """Draw a bracket above a beat that is part of the mean, and a short bar at each of its eight borders."""
    frame, thin = edges(cycle), style.line * 0.8
    left, right = frame.x0 + thin, frame.x1 - thin
    for box in (
        Box(left, frame.y0, right, frame.y0 + thin),
        Box(left, frame.y0 + thin, left + thin, frame.y0 + style.bar),
        Box(right - thin, frame.y0 + thin, right, frame.y0 + style.bar),
    ):
        canvas.fill(box, WHITE, 0.45)
    for column in columns(cycle):
        for row in column.rows:
            _bar(canvas, column, row, style.bar * 0.6, style)


def _bar(canvas: Canvas, column: Column, row: float, half_length: float, style: Style) -> None:
    box = Box(column.x - half_length, row, column.x + half_length, row)
    _rimmed(canvas, box, style.line / 2, column.colour)


def _rimmed(canvas: Canvas, line: Box, half: float, colour: Colour) -> None:
    """Draw an upright or level line, `half` px thick to either side, with a dark rim of one pixel."""
    upright = line.x0 == line.x1
    across = (half, 0.0) if upright else (0.0, half)
    rim = (half + 1, 0.0) if upright else (0.0, half + 1)
    for (dx, dy), ink, opacity in ((rim, BLACK, RIM_OPACITY), (across, colour, 1.0)):
        canvas.fill(Box(line.x0 - dx, line.y0 - dy, line.x1 + dx, line.y1 + dy), ink, opacity)


def _dots(start: float, stop: float, period: float) -> Iterator[tuple[float, float]]:
    for number in range(int((stop - start) / period)):
        yield start + (number + 0.5) * period, start + (number + 1) * period
