"""Processing of a strip between the scanner and the file: gray map, drawings, scaling, JPEG, noise."""

import numpy as np
from numpy.typing import NDArray

from inference.phantom.overlay import calipers, ecg, marks, video, writing
from inference.phantom.overlay.canvas import Canvas
from inference.phantom.parameters import Draw
from inference.phantom.scene import Timeline

DRAWINGS = {
    "top_line": marks.top_line,
    "respiration": ecg.respiration,
    "depth_ticks": marks.depth_ticks,
    "depth_dots": marks.depth_dots,
    "time_line": marks.time_line,
    "slope": calipers.slope,
    "calipers": calipers.calipers,
    "table": writing.table,
    "loose_text": writing.loose_text,
    "edge_text": writing.edge_text,
    "arrows": writing.arrows,
    "unwritten": marks.unwritten,
    "frame": marks.frame,
    "scale_column": marks.scale_column,
}
"""What may be drawn, from the bottom up, each with its chance in `overlay.ranges`."""


def dress(
    draw: Draw,
    pixels: NDArray[np.uint8],
    time: Timeline,
    rate_bpm: float,
    *,
    heart_px: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """The strip as stored in a file; (height, columns) uint8 like `pixels`.

    `heart_px`, first and last row, stays free of opaque bars; without it there is nothing to measure.
    """
    canvas = Canvas.over(draw, pixels, time, heart_px)
    tone(canvas)
    draw_over(canvas, rate_bpm)
    return captured(canvas)


def tone(canvas: Canvas) -> None:
    """Gray map and sharpness of the echo itself, before anything is drawn on it."""
    image = video.focus(canvas, canvas.image).point(video.gray_map(canvas).tolist())
    canvas.image.paste(image)


def draw_over(canvas: Canvas, rate_bpm: float) -> None:
    """Everything drawn, and the sweep gap that wipes all of it."""
    if canvas.happens("ecg"):
        ecg.ecg(canvas, rate_bpm)
    marks.time_marks(canvas)
    for name, drawing in DRAWINGS.items():
        if canvas.happens(name):
            drawing(canvas)
    marks.gap(canvas)


def captured(canvas: Canvas) -> NDArray[np.uint8]:
    """Screen scaling, colour, JPEG and noise."""
    image = canvas.image
    if canvas.happens("resample"):
        image = video.resampled(canvas, image)
    pixels = np.array(video.stored(canvas, image))
    return video.noisy(canvas, pixels) if canvas.happens("noise") else pixels
