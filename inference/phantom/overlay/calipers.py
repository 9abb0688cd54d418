"""Calipers at arbitrary places and times, so that they say nothing about the truth."""

import numpy as np

from inference.phantom.overlay.canvas import Canvas, font


def calipers(canvas: Canvas) -> None:
    """One to four calipers of one style."""
    gray = canvas.whole("caliper_gray")
    style = canvas.one_of((dotted_line, dotted_line, crosses, bars))
    for number in range(1, canvas.one_of((1, 1, 2, 2, 3, 4)) + 1):
        x, top = canvas.column(), canvas.height * canvas.number("caliper_top_share")
        bottom = min(top + canvas.height * canvas.number("caliper_long_share"), canvas.height - 2.0)
        style(canvas, x, top, bottom, gray)
        if canvas.happens("caliper_label"):
            text = canvas.one_of((str(number), "ABCD"[number - 1], "d", "s"))
            canvas.pen.text((x + 5, top - 10), text, fill=gray, font=font(canvas.whole("text_px")))


def dotted_line(canvas: Canvas, x: float, top: float, bottom: float, gray: int) -> None:
    """A dotted or dashed vertical with bars at its ends, and often at borders between them."""
    step = canvas.whole("caliper_step_px")
    dash = canvas.one_of((1, 1, max(1, step // 2)))
    for y in np.arange(top, bottom, step):
        canvas.pen.line((x, y, x, y + dash - 1), fill=gray)
    arm = canvas.whole("caliper_arm_px")
    inner = canvas.draw.rng.uniform(top, bottom, canvas.one_of((0, 0, 1, 2)))
    for y in (top, bottom, *inner):
        canvas.pen.line((x - arm, y, x + arm, y), fill=gray)


def crosses(canvas: Canvas, x: float, top: float, bottom: float, gray: int) -> None:
    """Two + or x, sometimes joined by dots."""
    cross = canvas.one_of((plus, plus, saltire))
    if canvas.happens("caliper_label"):
        steps = max(2, int((bottom - top) / canvas.number("caliper_step_px") / 2))
        canvas.dots(((x, y) for y in np.linspace(top, bottom, steps)), gray, 1)
    arm, outline = canvas.whole("caliper_arm_px"), canvas.happens("caliper_outline")
    for y in (top, bottom):
        if outline:
            cross(canvas, (x, y), arm + 1, 0, 3)
        cross(canvas, (x, y), arm, gray, 1)


def plus(canvas: Canvas, at: tuple[float, float], arm: int, gray: int, thick: int) -> None:
    """A + around `at`, (x, y)."""
    x, y = at
    canvas.pen.line((x - arm, y, x + arm, y), fill=gray, width=thick)
    canvas.pen.line((x, y - arm, x, y + arm), fill=gray, width=thick)


def saltire(canvas: Canvas, at: tuple[float, float], arm: int, gray: int, thick: int) -> None:
    """An x around `at`, (x, y)."""
    x, y = at
    canvas.pen.line((x - arm, y - arm, x + arm, y + arm), fill=gray, width=thick)
    canvas.pen.line((x - arm, y + arm, x + arm, y - arm), fill=gray, width=thick)


def bars(canvas: Canvas, x: float, top: float, bottom: float, gray: int) -> None:
    """Two short thick bars with a black outline and nothing between them."""
    arm = canvas.whole("caliper_arm_px") + 2
    for y in (top, bottom):
        canvas.pen.rectangle((x - arm, y - 1, x + arm, y + 2), fill=gray, outline=0)


def slope(canvas: Canvas) -> None:
    """A dotted line from one point to another, as an E-F slope or an excursion is measured."""
    x, wide = canvas.column(), canvas.width * canvas.number("slope_share_of_width")
    y = canvas.height * canvas.number("caliper_top_share")
    rise = canvas.height * canvas.draw.between(-0.2, 0.2)
    gray, arm = canvas.whole("caliper_gray"), canvas.whole("caliper_arm_px")
    share = np.linspace(0, 1, max(3, int(wide / canvas.number("caliper_step_px") / 1.5)))
    canvas.dots(zip(x + share * wide, y + share * rise, strict=True), gray, canvas.one_of((1, 2)))
    plus(canvas, (x, y), arm, gray, 1)
    plus(canvas, (x + wide, y + rise), arm, gray, 1)
