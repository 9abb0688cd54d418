"""A white pericardium that a broad pulse smears over the posterior wall (manner `BROAD_PERICARDIUM`)."""

import numpy as np

from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer
from inference.phantom.walls import Walls

STEPS = 5
"""Layers of the slope; what they are blurred to is even."""
MOST_OF_WALL = 0.6
"""Share of the wall that the slope may cover."""


def slope(draw: Draw, walls: Walls, size: float, *, wall_dB: float, bright_dB: float) -> list[Layer]:
    """Return layers that brighten from the wall to the pericardium, about the border between the two.

    The border lies at the upper third of the slope or above, up to where the white begins: there readers put
    it, and there the leading edge of an echo without the pulse's length would be (ASE 2015).
    """
    broad, border_at = size * draw.between(0.08, 0.6), draw.between(0.3, 1.0)
    thick = walls.posterior_outer - walls.posterior_inner
    shares = np.arange(STEPS) / STEPS
    return [
        Layer(
            top_cm=walls.posterior_outer + np.maximum((share - border_at) * broad, -MOST_OF_WALL * thick),
            level_dB=wall_dB + (share + 1 / STEPS) * (bright_dB - wall_dB),
        )
        for share in shares
    ]
