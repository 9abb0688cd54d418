"""Lines of which a strip shows fragments only."""

import numpy as np

from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.texture import smooth_noise

FALL_dB = 3.0
"""A fragment is so much dimmer at its ends than on average."""


def fragments(draw: Draw, *, share: float, length_px: float, level_dB: float, favoured: Curve) -> Curve:
    """Return the level of a line at each column, NaN but for a share of them.

    Args:
        draw: draws the numbers.
        share: of the columns, that show the line.
        length_px: the fragments' order of length.
        level_dB: of the line.
        favoured: at each column, how much sooner it shows the line than others, in standard deviations.
    """
    noise = smooth_noise(draw.rng, len(favoured), max(length_px, 1.0))[0] + favoured
    above = noise - np.quantile(noise, 1 - share)
    level = level_dB + FALL_dB * (np.clip(above / noise.std(), 0, 2) - 1)
    return np.where(above > 0, level, np.nan)


def while_moving(border_cm: Curve) -> Curve:
    """Return how fast a border moves at each column, in standard deviations."""
    speed = np.abs(np.gradient(border_cm))
    return np.asarray((speed - speed.mean()) / (speed.std() + 1e-9))
