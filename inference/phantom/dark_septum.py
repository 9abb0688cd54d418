"""A septum whose muscle is as dark as the blood (manner `DARK_SEPTUM`)."""

import numpy as np

from inference.phantom.fragments import fragments, while_moving
from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line
from inference.phantom.texture import smooth_noise
from inference.phantom.walls import Walls

STREAKED = 0.5
"""Share of right sides that are several lines instead of one even band."""
CLEAREST_MOVING = 0.5
"""Share of left borders that are seen rather while they move."""


def dark_septum(
    draw: Draw, walls: Walls, size: float, *, septum_dB: float, cavity_dB: float
) -> tuple[list[Layer], list[Line]]:
    """Return the band and the dark muscle behind it, the band's own lines and the left border's fragments."""
    thick = walls.septum_inner - walls.septum_outer
    band = np.minimum(size * draw.between(0.15, 0.5), draw.between(0.25, 0.6) * thick)
    streaked = draw.chance(STREAKED)
    right = Layer(
        top_cm=walls.septum_outer,
        level_dB=septum_dB - (draw.between(3, 10) if streaked else 0.0),
        edge_dB=draw.between(0, 8),
        edge_cm=size * draw.between(0.05, 0.14),
        muscle=True,
    )
    muscle = Layer(top_cm=walls.septum_outer + band, level_dB=cavity_dB + draw.between(-2, 4))
    lines = streaks(draw, walls, band, size, septum_dB) if streaked else []
    return [right, muscle], [*lines, left_border(draw, walls, size, septum_dB=septum_dB, cavity_dB=cavity_dB)]


def streaks(draw: Draw, walls: Walls, band: Curve, size: float, septum_dB: float) -> list[Line]:
    """Return two or three lines of the septum's right side, its first edge among them."""
    places = np.sort(draw.rng.uniform(0.25, 1.0, int(draw.between(1, 3))))
    return [
        Line(
            y_cm=walls.septum_outer + place * band,
            level_dB=septum_dB + draw.between(-4, 5) + 3 * smooth_noise(draw.rng, len(band), 20)[0],
            sigma_cm=size * draw.between(0.02, 0.06),
        )
        for place in (0.0, *places)
    ]


def left_border(draw: Draw, walls: Walls, size: float, *, septum_dB: float, cavity_dB: float) -> Line:
    """Return the thin faint line at the left border, of which few columns show bits."""
    sigma = size * draw.between(0.02, 0.07)
    favoured = draw.between(0.5, 2) * while_moving(walls.septum_inner) * draw.chance(CLEAREST_MOVING)
    level = fragments(
        draw,
        share=draw.between(0.17, 0.65),
        length_px=len(walls.septum_inner) / draw.between(15, 100),
        level_dB=min(max(cavity_dB + draw.between(6, 20), septum_dB - draw.between(4, 20)), septum_dB),
        favoured=favoured,
    )
    return Line(y_cm=walls.septum_inner - 0.5 * sigma, level_dB=level, sigma_cm=sigma, border=True)
