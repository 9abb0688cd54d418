"""From a scene to gray pixels: speckle that moves with the tissue, log compression, machine settings."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from inference.phantom.parameters import Draw
from inference.phantom.scene import Line, Scene, Timeline, borders

FloatImage = NDArray[np.float32]

FIELD_ROWS, FIELD_COLUMNS = 2048, 2048
FIELD_CM = 0.02
"""Depth step of the texture fields: 2048 rows hold 41 cm of tissue."""


@lru_cache(maxsize=8)
def speckle_field(lateral_px: float, seed: int) -> FloatImage:
    """Fully developed speckle in dB (mean about 0): log of a Rayleigh field, correlated along time."""
    rng = np.random.default_rng(seed)
    parts = [
        gaussian_filter(
            rng.standard_normal((FIELD_ROWS, FIELD_COLUMNS), dtype=np.float32), (1.6, lateral_px), mode="wrap"
        )
        for _ in range(2)
    ]
    power = parts[0] ** 2 + parts[1] ** 2
    return np.asarray(10 * np.log10(power / power.mean() + 1e-3), dtype=np.float32)


@lru_cache(maxsize=4)
def smooth_field(seed: int) -> FloatImage:
    """A slowly varying field with mean 0 and deviation 1: uneven tissue and dropouts."""
    noise = np.random.default_rng(seed).standard_normal((FIELD_ROWS, FIELD_COLUMNS), dtype=np.float32)
    field = gaussian_filter(noise, (14, 60), mode="wrap")
    return np.asarray(field / field.std(), dtype=np.float32)


def render(draw: Draw, scene: Scene, time: Timeline, height: int) -> NDArray[np.uint8]:
    """The strip as the machine would show it, (height, columns) uint8, before anything is drawn over it."""
    level = tissue_dB(draw, scene, time, height)
    for line in scene.lines:
        draw_line(level, line, scene.depth_cm / height)
    level += draw("tgc_dB") * np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    noise = draw("noise_dB") + noise_texture(draw, level.shape)
    power = 10 ** (level / 10) + 10 ** (noise / 10)
    shown = 1 + (10 * np.log10(power) + draw("gain_dB")) / draw("dynamic_range_dB")
    shown = np.clip(shown, 0, 1) ** draw("gamma")
    shown = gaussian_filter(shown, (draw("blur_axial_px"), draw("blur_lateral_px")))
    return np.asarray(255 * shown, dtype=np.uint8)


def tissue_dB(draw: Draw, scene: Scene, time: Timeline, height: int) -> FloatImage:
    """Echo level of every pixel, looked up where its tissue lies at rest."""
    columns = len(time.t_s)
    tops = borders(scene, columns)
    rest = tops.mean(axis=1) + np.arange(len(tops)) * 1e-6
    depth = (np.arange(height) + 0.5) * scene.depth_cm / height
    rows = np.empty((height, columns), dtype=np.int64)
    for column in range(columns):
        rows[:, column] = np.interp(depth, tops[:, column], rest) / FIELD_CM
    profile, still = level_profile(draw, scene, rest)
    rows = np.minimum(rows, len(profile) - 1)
    gain = layer_gain(scene, rest, len(profile), rows)
    step = draw.between(0.5, 3.0)
    ticks = (np.arange(columns) * step).astype(np.int64)
    speckle = speckle_field(float(draw.rng.choice([1.5, 4.0, 9.0])), int(draw.rng.integers(2)))
    uneven = smooth_field(int(draw.rng.integers(2)))
    at = (rows + draw.rng.integers(FIELD_ROWS)) % FIELD_ROWS
    when = np.where(still[rows], ticks // 40, ticks) + draw.rng.integers(FIELD_COLUMNS)
    when %= FIELD_COLUMNS
    texture = speckle[at, when] + draw("dropout_dB") * uneven[at, when]
    return np.asarray(profile[rows] + texture + gain, dtype=np.float32)


def layer_gain(
    scene: Scene, rest_cm: NDArray[np.float64], depths: int, rows: NDArray[np.int64]
) -> FloatImage | float:
    """What each layer's `gain_dB` adds at every pixel; 0 when no layer has one."""
    if all(layer.gain_dB is None for layer in scene.layers):
        return 0.0
    columns = rows.shape[1]
    table = np.stack(
        [np.zeros(columns) if layer.gain_dB is None else layer.gain_dB for layer in scene.layers]
    )
    index = layer_index(rest_cm, np.arange(depths) * FIELD_CM, len(scene.layers))
    return np.asarray(table[index[rows], np.arange(columns)], dtype=np.float32)


def layer_index(
    rest_cm: NDArray[np.float64], depth_cm: NDArray[np.float64], layers: int
) -> NDArray[np.int64]:
    """The layer that lies at each depth when at rest."""
    return np.clip(np.searchsorted(rest_cm, depth_cm, side="right") - 1, 0, layers - 1)


def level_profile(
    draw: Draw, scene: Scene, rest_cm: NDArray[np.float64]
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Mean echo level (dB) and stillness of the tissue at rest, one entry per `FIELD_CM` of depth."""
    depth = np.arange(int(np.ceil(scene.depth_cm / FIELD_CM)) + 2) * FIELD_CM
    index = layer_index(rest_cm, depth, len(scene.layers))
    level = np.array([layer.level_dB for layer in scene.layers])[index]
    layering = gaussian_filter(draw.rng.standard_normal(len(depth)), draw.between(2, 7))
    level = level + draw("layering_dB") * layering / (layering.std() + 1e-9) * (level > -40)
    for k, layer in enumerate(scene.layers):
        if layer.edge_dB:
            beside = max(layer.level_dB, scene.layers[k - 1].level_dB if k else layer.level_dB)
            shape = np.exp(-0.5 * ((depth - rest_cm[k]) / (layer.edge_cm / 2)) ** 2)
            level = np.maximum(level, beside + layer.edge_dB + 20 * np.log10(shape + 1e-6))
    still = np.array([layer.still for layer in scene.layers])[index]
    return np.asarray(level, dtype=np.float32), still


def draw_line(level: FloatImage, line: Line, cm_per_px: float) -> None:
    """Adds a free line to the echo levels, in place, brightest at its centre."""
    height, columns = level.shape
    seen = ~np.isnan(line.level_dB)
    centre = line.y_cm / cm_per_px - 0.5
    reach = int(np.ceil(3 * line.sigma_cm / cm_per_px)) + 1
    x = np.arange(columns)[seen]
    for offset in range(-reach, reach + 1):
        y = np.round(centre[seen]).astype(np.int64) + offset
        inside = (y >= 0) & (y < height)
        distance = (y - centre[seen]) * cm_per_px / line.sigma_cm
        value = line.level_dB[seen] - 4.34 * distance**2
        level[y[inside], x[inside]] = np.maximum(level[y[inside], x[inside]], value[inside])


def noise_texture(draw: Draw, shape: tuple[int, ...]) -> FloatImage:
    """Receiver noise: speckle that nothing moves."""
    field = speckle_field(1.5, 7)
    y, x = int(draw.rng.integers(FIELD_ROWS)), int(draw.rng.integers(FIELD_COLUMNS))
    rows = (np.arange(shape[0]) * 2 + y) % FIELD_ROWS
    columns = (np.arange(shape[1]) * 2 + x) % FIELD_COLUMNS
    return field[np.ix_(rows, columns)]
