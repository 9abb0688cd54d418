"""The whole screen around a strip, as a machine would save it: no patient, no date, all numbers made up."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inference.phantom.layouts import Layout, Placement, layout_of, placement
from inference.phantom.overlay.canvas import Canvas, font
from inference.phantom.overlay.ecg import made_up_r_waves, shape, trace
from inference.phantom.parameters import Draw
from inference.phantom.scene import Timeline
from inference.phantom.sector import sector
from inference.phantom.strip import Phantom

BAR_PX = (14, 110)
ECG_PX = 46
ROOM_FOR_NUMBER_PX = 26


def screen(phantom: Phantom) -> NDArray[np.uint8]:
    """The screen of the layout that belongs to the phantom, (rows, columns, 3) uint8."""
    layout, place = layout_of(phantom), placement(phantom)
    image = Image.new("RGB", place.size, layout.background)
    pen = ImageDraw.Draw(image)
    if place.apex is not None:
        sector(pen, centre=place.apex, radius=place.radius_px, seed=phantom.seed, echo=layout.echo)
    draw = Draw(np.random.default_rng(phantom.seed))
    if layout.ecg is not None:
        ecg_above(pen, phantom, place, layout.ecg, draw)
    parameters(pen, layout, place, draw)
    depth_axis(pen, phantom, layout, place)
    time_axis(pen, phantom, layout, place)
    gray_bar(pen, layout, place)
    image.paste(Image.fromarray(phantom.pixels), place.strip)
    return np.array(image)


def ecg_above(
    pen: ImageDraw.ImageDraw, phantom: Phantom, place: Placement, colour: tuple[int, int, int], draw: Draw
) -> None:
    """An ECG in the band above the strip, with a rhythm of its own."""
    width, (x, y) = phantom.pixels.shape[1], place.strip
    step_s = phantom.calibration.s_per_px_x
    time = Timeline(t_s=np.arange(width, dtype=np.float64) * step_s, s_per_px=step_s)
    canvas = Canvas.over(draw, np.zeros((ECG_PX, width), dtype=np.uint8), time)
    heights = shape(canvas, made_up_r_waves(canvas, draw.between(50, 110)))
    trace(canvas, ECG_PX * (0.65 - 0.5 * heights), 255, 1)
    pen.bitmap((x, y - 2 - ECG_PX), canvas.image, fill=colour)


def parameters(pen: ImageDraw.ImageDraw, layout: Layout, place: Placement, draw: Draw) -> None:
    """Settings in the upper left corner, sweep speed and rate at the foot."""
    gain, rate = draw.rng.integers(40, 80, 2), draw.rng.integers(24, 70)
    lines = (
        f"FR {rate}Hz",
        f"{draw.rng.integers(8, 24)}cm",
        "2D / MM",
        f"{gain[0]}% {gain[1]}%",
        "C 50",
        "P Low",
    )
    letters = font(layout.text_px)
    rows = lines if layout.sector != "none" else ("   ".join(lines[: place.size[0] // 80]),)
    for row, line in enumerate(rows):
        pen.text((6, 6 + row * (layout.text_px + 4)), line, fill=layout.text, font=letters)
    speed, bpm = draw.rng.choice([25, 50, 75, 100]), draw.rng.integers(50, 110)
    foot = f"{speed}mm/s   {bpm}bpm"
    pen.text((place.size[0] - 4, place.size[1] - 2), foot, fill=layout.text, font=letters, anchor="rb")


def depth_axis(pen: ImageDraw.ImageDraw, phantom: Phantom, layout: Layout, place: Placement) -> None:
    """Centimetre ticks with numbers, at one side of the strip."""
    (height, width), (x, y) = phantom.pixels.shape, place.strip
    px_per_cm = 1 / phantom.calibration.cm_per_px_y
    edge, out = (x - 2, -1) if layout.axis_at_left else (x + width + 1, 1)
    numbered = next((cm for cm in (1, 2, 5) if cm * px_per_cm > ROOM_FOR_NUMBER_PX), 10)
    for cm in range(int(height / px_per_cm) + 1):
        at, long = y + cm * px_per_cm, 8 if cm % numbered == 0 else 3
        pen.line((edge, at, edge + out * long, at), fill=layout.axis)
        if cm % numbered == 0:
            anchor = "rm" if layout.axis_at_left else "lm"
            pen.text(
                (edge + out * 12, at), str(cm), fill=layout.axis, font=font(layout.text_px), anchor=anchor
            )


def time_axis(pen: ImageDraw.ImageDraw, phantom: Phantom, layout: Layout, place: Placement) -> None:
    """Ticks of a fifth of a second and of a second below the strip."""
    (height, width), (x, y) = phantom.pixels.shape, place.strip
    px_per_s = 1 / phantom.calibration.s_per_px_x
    for fifth in range(int(width / px_per_s * 5) + 1):
        at, whole = x + fifth * px_per_s / 5, fifth % 5 == 0
        pen.line((at, y + height + 1, at, y + height + (7 if whole else 3)), fill=layout.axis)
        if whole and layout.seconds_numbered:
            pen.text((at, y + height + 8), str(fifth // 5), fill=layout.axis, font=font(9), anchor="mt")


def gray_bar(pen: ImageDraw.ImageDraw, layout: Layout, place: Placement) -> None:
    """The gray map as a bar in the upper right corner, if the sector leaves room for it."""
    if layout.sector != "above":
        return
    x, y, _, foot = bar_box(place)
    for row in range(foot - y + 1):
        share = 1 - row / (foot - y)
        pen.line(
            (x, y + row, x + BAR_PX[0] - 1, y + row),
            fill=tuple(round(share * value) for value in layout.echo),
        )


def bar_box(place: Placement) -> tuple[int, int, int, int]:
    """First and last pixels of the gray bar: (x0, y0, x1, y1)."""
    x, y = place.size[0] - BAR_PX[0] - 10, 16
    return x, y, x + BAR_PX[0] - 1, min(y + BAR_PX[1], place.strip[1] - 12)
