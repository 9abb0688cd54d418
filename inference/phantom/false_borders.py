"""Lines beside a wall that are none of its borders (manners `CHORDAL_LINES` and `RV_LINES`)."""

from itertools import accumulate

import numpy as np

from inference.phantom.fragments import fragments
from inference.phantom.parameters import Draw
from inference.phantom.scene import Line
from inference.phantom.walls import Walls

CLOSES = 0.3
"""Share of their distance by which chordal lines come nearer to the wall in systole."""


def chordal_lines(draw: Draw, walls: Walls, size: float) -> list[Line]:
    """Return one to three lines along the posterior endocardium; the one nearest to it is the first."""
    steps = [draw.between(0.1, 0.6), *(draw.between(0.1, 0.35) for _ in range(int(draw.between(0, 3))))]
    closing = 1 - CLOSES * draw.between(0, 1.5) * walls.contraction
    lines = []
    for gap in accumulate(steps):
        y = walls.posterior_inner - size * gap * closing
        level = fragments(
            draw,
            share=draw.between(0.45, 0.98),
            length_px=len(y) / draw.between(8, 60),
            level_dB=draw.between(-32, -2),
            favoured=draw.between(-1.5, 1.5) * walls.contraction,
        )
        y = np.maximum(y, walls.septum_inner + 0.25 * walls.cavity_cm)
        lines.append(Line(y_cm=y, level_dB=level, sigma_cm=size * draw.between(0.02, 0.06)))
    return lines


def rv_lines(draw: Draw, walls: Walls, size: float, *, rv_cm: float, septum_dB: float) -> list[Line]:
    """Return one or two short lines between right ventricular wall and septum."""
    room = np.maximum(walls.septum_outer - rv_cm, 0.05)
    lines = []
    for _ in range(int(draw.between(1, 3))):
        off = np.minimum(size * draw.between(0.15, 0.6), 0.8 * room)
        level = fragments(
            draw,
            share=draw.between(0.12, 0.5),
            length_px=len(room) / draw.between(6, 40),
            level_dB=septum_dB + draw.between(-10, 6),
            favoured=draw.between(-1, 1) * walls.contraction,
        )
        sigma = size * draw.between(0.02, 0.06)
        lines.append(Line(y_cm=walls.septum_outer - off, level_dB=level, sigma_cm=sigma))
    return lines
