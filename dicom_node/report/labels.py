"""The labels of the calipers: names and lengths, written in the cavity beside them."""

from collections.abc import Collection

from dicom_node.report.beats import Column, Style, columns
from dicom_node.report.canvas import Canvas, line_height, text_width
from dicom_node.report.layout import Box
from dicom_node.report.quantities import PHASES, label_text
from inference.types import CycleMeasurement


def draw_labels(
    canvas: Canvas, cycle: CycleMeasurement, style: Style, withheld: Collection[str] = ()
) -> list[Box]:
    """Write the six lengths of a beat, each phase in its colour; return the boxes that were written on.

    A phase for which there is no free place gets no labels; the result table has all numbers. Of the
    lengths `withheld` only the names are written.
    """
    phases = columns(cycle)
    taken = [Box(column.x, column.rows[0], column.x, column.rows[3]).grown(style.bar) for column in phases]
    written = []
    for column in phases:
        texts = [label_text(key, cycle, withheld) for key in PHASES[column.phase]]
        for box in _places(phases, column, texts, style):
            if box.within(canvas.area) and not any(box.meets(other) for other in taken):
                _write(canvas, box, texts, column, style)
                taken.append(box.grown(2))
                written.append(box)
                break
    return written


def _places(phases: list[Column], column: Column, texts: list[str], style: Style) -> list[Box]:
    """Return the boxes to try in order: left of diastole or right of systole, the other side, further out."""
    width = max(text_width(text, style.text) for text in texts)
    gap = style.bar + style.text * 0.4
    left, right = phases[0].x - gap - width, phases[-1].x + gap
    near = [left, right] if column is phases[0] else [right, left]
    tops = _tops(column, style)
    bottom = tops[-1] + line_height(style.text)
    return [Box(x, tops[0], x + width, bottom) for x in (*near, right + width + gap, left - width - gap)]


def _tops(column: Column, style: Style) -> list[float]:
    """Return the tops of three lines of text, centred between the two borders of the cavity."""
    _, upper, lower, _ = column.rows
    line = line_height(style.text)
    middle = (upper + lower - line) / 2
    return [middle - line, middle, middle + line]


def _write(canvas: Canvas, box: Box, texts: list[str], column: Column, style: Style) -> None:
    """Write the labels into `box`, aligned to the side that faces their caliper."""
    for text, top in zip(texts, _tops(column, style), strict=True):
        x = box.x0 if box.x0 > column.x else box.x1 - text_width(text, style.text)
        canvas.text(x, top, text, colour=column.colour, text_px=style.text)
