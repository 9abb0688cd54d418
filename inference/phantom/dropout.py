"""Walls that sink into the blood for a part of each beat (manner `DROPOUT`)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter1d

from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, dimmest_dB
from inference.phantom.texture import smooth_noise
from inference.phantom.walls import Walls


def window(draw: Draw, walls: Walls) -> Curve:
    """Return how far a wall is gone at each column, 0…1: about one moment of the beat, not always alike."""
    columns = len(walls.contraction)
    at, width = draw.between(0, 1), draw.between(0.1, 0.3)
    distance = np.abs((phases(walls) - at + 0.5) % 1.0 - 0.5)
    varies = smooth_noise(draw.rng, columns, columns / len(walls.beats.r_s))[0]
    strength = np.clip(draw.between(0.6, 1.0) + 0.3 * varies, 0, 1)
    return np.asarray(strength * np.exp(-2 * (distance / width) ** 2))


def phases(walls: Walls) -> Curve:
    """Return the place of each column in its beat, 0…1, counted from where the cavity is widest."""
    cavity, columns = walls.cavity_cm, len(walls.contraction)
    reach = max(columns // (3 * len(walls.beats.r_s)), 1)
    widest = np.flatnonzero(cavity == maximum_filter1d(cavity, 2 * reach + 1))
    if len(widest) == 0:
        return np.linspace(0, 1, columns)
    return np.asarray(np.interp(np.arange(columns), widest, np.arange(len(widest)))) % 1.0


def sunken(layers: Sequence[Layer], gone: Curve, *, depth_dB: float, cavity_dB: float) -> list[Layer]:
    """Return the layers of a wall, dimmed by at most `depth_dB` and never below the blood."""
    return [
        replace(layer, fading_dB=-gone * min(depth_dB, max(dimmest_dB(layer) - cavity_dB, 0.0)))
        for layer in layers
    ]
