"""Speckle and unevenness, made once per process and looked up where the tissue is."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

FloatImage = NDArray[np.float32]

SIDE = 1024
"""Rows and columns of every field; it repeats seamlessly beyond."""
FIELD_CM = 0.02
"""Depth step of the fields: 1024 rows hold 20 cm of tissue."""
GRAIN, STREAKS = (1.0, 1.6, 3.0), (14.0, 40.0, 110.0)
"""Correlation along time, in field columns: fine grain, and the long streaks of tissue at rest."""


@lru_cache(maxsize=16)
def speckle(lateral: float, seed: int) -> FloatImage:
    """Fully developed speckle in dB, mean about 0: log of a Rayleigh field, flattened to one row."""
    rng = np.random.default_rng(seed)
    power = np.zeros((SIDE, SIDE), dtype=np.float32)
    for _ in range(2):
        part = gaussian_filter(
            rng.standard_normal((SIDE, SIDE), dtype=np.float32), (1.5, lateral), mode="wrap"
        )
        power += part**2
    return np.asarray(10 * np.log10(power / power.mean() + 3e-3), dtype=np.float32).ravel()


@lru_cache(maxsize=2)
def unevenness(seed: int) -> FloatImage:
    """A slowly varying field with mean 0 and deviation 1: uneven tissue and drop-outs, flattened."""
    noise = np.random.default_rng(seed).standard_normal((SIDE, SIDE), dtype=np.float32)
    field = gaussian_filter(noise, (10, 40), mode="wrap")
    return np.asarray(field / field.std(), dtype=np.float32).ravel()


def at(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index into a flattened field, wrapped around both ways."""
    return (rows % SIDE) * SIDE + columns % SIDE


def smooth_noise(rng: np.random.Generator, length: int, sigma: float, count: int = 1) -> NDArray[np.float64]:
    """(count, length) curves of mean 0 and deviation 1 that vary over `sigma` samples."""
    curves = gaussian_filter1d(rng.standard_normal((count, length)), sigma, axis=1, mode="reflect")
    return np.asarray(curves / (curves.std(axis=1, keepdims=True) + 1e-9))
