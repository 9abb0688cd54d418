"""Marks of time and depth, and what lies at the borders of a strip's region."""

from collections.abc import Sequence

import numpy as np

from inference.phantom.overlay.canvas import Canvas, font


def time_marks(canvas: Canvas) -> None:
    """Seconds as columns of dots, ticks at the foot or head, or dotted lines."""
    every = max(30.0, canvas.one_of((0.2, 0.5, 1.0, 1.0)) / canvas.time.s_per_px)
    xs = np.arange(canvas.draw.between(0, every), canvas.width, every).tolist()
    gray = canvas.whole("mark_gray")
    if canvas.happens("second_dots"):
        step, size = canvas.height / canvas.number("dots_per_height"), canvas.one_of((1, 2, 2, 3))
        rows = np.arange(canvas.draw.between(0, step), canvas.height, step).tolist()
        canvas.dots(((x, y) for x in xs for y in rows), gray, size)
    if canvas.happens("second_lines"):
        ys = range(0, canvas.height, canvas.whole("caliper_step_px"))
        canvas.dots(((x, y) for x in xs for y in ys), gray, 1)
    if canvas.happens("second_ticks"):
        ticks_along(canvas, xs, every, gray)


def ticks_along(canvas: Canvas, xs: Sequence[float], every: float, gray: int) -> None:
    """Long ticks at `xs` and short ones between them, at the foot or the head."""
    long, between = canvas.whole("tick_px"), canvas.one_of((1, 2, 5, 10))
    foot, thick = canvas.one_of((True, True, False)), canvas.one_of((1, 1, 2))
    for x in np.arange(xs[0] - every, canvas.width, max(every / between, 5)) if len(xs) else ():
        reach = long if min(abs(x - at) for at in xs) < 1 else max(1, long // 2)
        edge, inner = (canvas.height - 1, canvas.height - 1 - reach) if foot else (0, reach)
        canvas.pen.line((x, edge, x, inner), fill=gray, width=thick)


def time_line(canvas: Canvas) -> None:
    """A line over the whole height, as for the freeze position or a marked phase."""
    x = canvas.column()
    canvas.pen.line((x, 0, x, canvas.height), fill=canvas.whole("mark_gray"))


def depth_ticks(canvas: Canvas) -> None:
    """A centimetre scale just inside one side, or both."""
    step, gray = canvas.height / canvas.number("dots_per_height"), canvas.whole("mark_gray")
    start, long = canvas.draw.between(0, step), canvas.whole("tick_px")
    for left in canvas.one_of(((True,), (False,), (False,), (True, False))):
        for index, y in enumerate(np.arange(start, canvas.height, step)):
            reach = long if index % 5 == 0 else max(1, long // 2)
            xs = (0, reach) if left else (canvas.width - 1 - reach, canvas.width - 1)
            canvas.pen.line((xs[0], y, xs[1], y), fill=gray)


def depth_dots(canvas: Canvas) -> None:
    """Rows of dots across the strip, one every few centimetres."""
    ys = np.arange(canvas.draw.between(0, 40), canvas.height, canvas.height / canvas.draw.between(2, 6))
    xs = np.arange(0, canvas.width, canvas.draw.between(6, 40))
    canvas.dots(((x, y) for x in xs for y in ys), canvas.whole("mark_gray"), 1)


def frame(canvas: Canvas) -> None:
    """Edges of a region some pixels larger than the strip: black, gray, or a dark blue as its gray."""
    w, h = canvas.width - 1, canvas.height - 1
    gray = canvas.one_of((0, canvas.whole("frame_gray")))
    sides = canvas.draw.rng.random(4) < 0.5
    thick = [canvas.whole("frame_px") for _ in sides]
    boxes = (
        (0, 0, thick[0] - 1, h),
        (0, 0, w, thick[1] - 1),
        (w - thick[2] + 1, 0, w, h),
        (0, h - thick[3] + 1, w, h),
    )
    for box, present in zip(boxes, sides, strict=True):
        if present:
            canvas.pen.rectangle(box, fill=gray)


def top_line(canvas: Canvas) -> None:
    """The bright line of the transducer's face."""
    y, thick = canvas.draw.between(0, 6), canvas.one_of((1, 1, 2, 3))
    canvas.pen.line((0, y, canvas.width, y), fill=canvas.whole("top_line_gray"), width=thick)


def scale_column(canvas: Canvas) -> None:
    """A depth scale on black that belongs to the region, at the right or left."""
    wide = round(canvas.width * canvas.number("scale_share_of_width"))
    x = canvas.one_of((0, canvas.width - wide, canvas.width - wide))
    canvas.pen.rectangle((x, 0, x + wide, canvas.height), fill=0)
    step, gray = canvas.height / canvas.number("dots_per_height"), canvas.whole("text_gray")
    for index, y in enumerate(np.arange(0, canvas.height, step)):
        canvas.pen.line((x + 1, y, x + (4 if index % 5 else 7), y), fill=gray)
        if index % 5 == 0:
            canvas.pen.text((x + 9, y - 5), str(index), fill=gray, font=font(9))


def unwritten(canvas: Canvas) -> None:
    """A few columns at either end that hold nothing yet; too few to hide a beat."""
    wide = max(1, round(canvas.number("unwritten_s") / canvas.time.s_per_px))
    x = canvas.one_of((0, canvas.width - wide))
    canvas.pen.rectangle((x, 0, x + wide - 1, canvas.height), fill=canvas.whole("unwritten_gray"))


def gap(canvas: Canvas) -> None:
    """The black bar where new columns overwrite old ones, over everything else."""
    if canvas.time.gap_px is None:
        return
    start, stop = canvas.time.gap_px
    canvas.pen.rectangle((start, 0, stop - 1, canvas.height), fill=0)
    if stop - start > 3 and canvas.happens("gap_gradient"):
        for x in range(start + 1, stop):
            canvas.pen.line((x, 0, x, canvas.height), fill=round(45 * (x - start) / (stop - start)))
    if stop - start > 3 and canvas.happens("gap_lead"):
        canvas.pen.line((start, 0, start, canvas.height), fill=canvas.whole("text_gray"))
