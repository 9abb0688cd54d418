"""Validity of a cycle box with its eight landmarks."""

from itertools import pairwise

from inference.labelled import CycleTruth

SLACK_PX = 0.02
"""Rounding to a hundredth of a pixel may move a point this far past an edge."""
SMALLEST_PX = 2.0
"""Least width and height of a box."""


def faults(cycle: CycleTruth, width: int, height: int) -> list[str]:
    """Every reason why `cycle` is invalid on a strip of `width` x `height` pixels; empty if valid."""
    x0, y0, x1, y1 = cycle.box_px
    if not (x1 - x0 >= SMALLEST_PX and y1 - y0 >= SMALLEST_PX):
        return [f"degenerate box {_text(cycle.box_px)}"]
    found = []
    image = (-0.5, -0.5, width - 0.5, height - 0.5)
    if not (_inside((x0, y0), image) and _inside((x1, y1), image)):
        found.append(f"box {_text(cycle.box_px)} leaves the {width} x {height} image")
    marks = cycle.landmarks_px
    for phase, points in (("diastole", marks.diastole), ("systole", marks.systole)):
        if not all(_inside(point, cycle.box_px) for point in points):
            found.append(f"{phase} keypoints outside their box")
        if not all(above[1] < below[1] for above, below in pairwise(points)):
            found.append(f"{phase} keypoints not in order of depth")
    if not all(d[0] < s[0] for d, s in zip(marks.diastole, marks.systole, strict=True)):
        found.append("diastole is not before systole")
    return found


def _inside(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return (
        box[0] - SLACK_PX <= point[0] <= box[2] + SLACK_PX
        and box[1] - SLACK_PX <= point[1] <= box[3] + SLACK_PX
    )


def _text(box: tuple[float, float, float, float]) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in box) + ")"
