"""The overlay: a source frame with the calipers of the measured beats and a table of the results."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_node.report.beats import Style, draw_chosen, draw_other, edges
from dicom_node.report.canvas import Canvas
from dicom_node.report.labels import draw_labels
from dicom_node.report.layout import Box, Cost
from dicom_node.report.panel import panels, refusal_panels
from dicom_node.report.refusals import refusal_of
from dicom_node.report.table import Panel
from inference.types import ModelIdentity, StripResult

SMALLEST_TEXT_PX: Final = 7
# Costs of hiding a pixel with the table, added to those of its own detail and brightness (see `Cost`).
STRIP_COST: Final = 0.4
WALLS_COST: Final = 0.6
USED_BEAT_COST: Final = 3.0


def draw_overlay(
    image_rgb: NDArray[np.uint8], results: Sequence[StripResult], model: ModelIdentity
) -> NDArray[np.uint8]:
    """Return `image_rgb` (rows, columns, 3) with the results of the frame's strips drawn on it.

    A refused strip gets a table with its reason. The size of the picture stays the same, unless the
    table does not fit: then black rows are added below. No patient data is written.
    """
    canvas, cost = Canvas(image_rgb), Cost(image_rgb)
    style = Style.of(*canvas.size)
    measured = [result for result in results if result.measured]
    for result in measured:
        _draw_beats(canvas, cost, result, style)
    for result in measured:
        middle = edges(result.cycles[result.chosen])
        _draw_panel(canvas, cost, partial(panels, result, model), middle, style)
    for result in results:
        why = refusal_of(result)
        if why is not None and result.region is not None:
            middle = Box(*result.region.xyxy_px)
            _draw_panel(canvas, cost, partial(refusal_panels, result, why, model), middle, style)
    return canvas.picture()


def _draw_beats(canvas: Canvas, cost: Cost, result: StripResult, style: Style) -> None:
    """Draw all beats of the mean, the most probable one with calipers and labels; add their costs."""
    chosen = result.cycles[result.chosen]
    for index in result.used:
        if index != result.chosen:
            draw_other(canvas, result.cycles[index], style)
        cost.add(edges(result.cycles[index]), USED_BEAT_COST)
    draw_chosen(canvas, chosen, style)
    for box in (edges(chosen), *draw_labels(canvas, chosen, style, result.withheld)):
        cost.forbid(box)
    if result.region is not None:
        x0, y0, x1, y1 = result.region.xyxy_px
        cost.add(edges(chosen)._replace(x0=x0, x1=x1 + 1), WALLS_COST)
        cost.add(edges(chosen)._replace(x0=x0, y0=y0, x1=x1 + 1, y1=y1 + 1), STRIP_COST)


def _draw_panel(
    canvas: Canvas, cost: Cost, panels_of: Callable[[int], list[Panel]], beside: Box, style: Style
) -> None:
    """Draw one of several equivalent panels where it hides least, near a box.

    `panels_of` returns the panels for a text size. The size is reduced until one fits; if none does,
    rows are added below the picture.
    """
    x0, y0, x1, y1 = beside
    for text_px in range(style.text, SMALLEST_TEXT_PX - 1, -1):
        candidates = panels_of(text_px)
        margin = text_px // 2
        sizes = [(width + 2 * margin, height + 2 * margin) for width, height in (p.size for p in candidates)]
        place = cost.cheapest(sizes, near=((x0 + x1) / 2, (y0 + y1) / 2))
        if place is not None:
            index, box = place
            candidates[index].draw(canvas, box.grown(-margin))
            cost.forbid(box)
            return
    _draw_below(canvas, min(panels_of(style.text), key=lambda panel: panel.size))


def _draw_below(canvas: Canvas, panel: Panel) -> None:
    """Add rows below the picture and draw a panel there."""
    (width, height), (_, rows) = panel.size, canvas.size
    canvas.grow(width, rows + height)
    panel.draw(canvas, Box(0, rows, width, rows + height))
