"""From a scene to gray pixels: speckle that moves with the tissue, log compression, machine settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from inference.phantom.manners import GREY_MAP, SPECULAR
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line, Scene, Timeline, borders, brightest_dB, dimmest_dB
from inference.phantom.texture import (
    FIELD_CM,
    GRAIN,
    SIDE,
    STREAKS,
    FloatImage,
    at,
    smooth_noise,
    speckle,
    unevenness,
)

Index = NDArray[np.int64]
LEAST_SHOWN, MOST_SHOWN = 0.18, 0.88
"""Gray, 0 black to 1 white, of the dimmest and of the brightest wall of the ventricle before its speckle."""
LEAST_FRAGMENT = 0.08
"""The same of the fragments of a border."""
NOISE_MARGIN_dB, FRAGMENT_MARGIN_dB = 7.0, 4.0


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """Where every pixel's tissue lies when the heart is at rest."""

    rows: Index
    """(height, columns) depth at rest, in steps of `FIELD_CM`."""
    layer: Index
    """(height, columns) index of the layer."""
    rest_cm: NDArray[np.float64]
    """Depth of each layer's upper border at rest."""
    slope: NDArray[np.float64]
    """(layers, columns) speed of each upper border, cm/s."""


def render(draw: Draw, scene: Scene, time: Timeline, height: int) -> NDArray[np.uint8]:
    """The strip as the machine would show it, (height, columns) uint8, before anything is drawn over it."""
    tissue = locate(scene, time, height)
    level = echo_dB(draw, scene, tissue)
    for line in scene.lines:
        draw_line(level, line, scene.depth_cm / height)
    level += texture_dB(draw, scene, tissue)
    level += draw("tgc_dB") * smooth_noise(draw.rng, height, height / 6)[0].astype(np.float32)[:, None]
    muscle = [layer for layer in scene.layers if layer.muscle]
    dimmest = dimmest_border_dB(scene.lines)
    power = np.exp2(level * np.float32(0.3322)) + background(draw, level.shape, muscle, dimmest)
    shown = exposed(draw, np.float32(3.0103) * np.log2(power), muscle, dimmest)
    shown = np.clip(shown, 0, 1) ** np.float32(draw("gamma"))
    if GREY_MAP in draw.manners:
        shown = mapped(draw, shown)
    shown = gaussian_filter(shown, (draw("blur_axial_px"), draw("blur_lateral_px")), truncate=3.0)
    return np.asarray(255 * shown, dtype=np.uint8)


def dimmest_border_dB(lines: Sequence[Line]) -> float:
    """The least level of a border of which only fragments are seen; infinite without one."""
    return min((float(np.nanmedian(line.level_dB)) for line in lines if line.border), default=np.inf)


def exposed(draw: Draw, power_dB: FloatImage, muscle: list[Layer], border_dB: float) -> FloatImage:
    """Log compression to 0 black … 1 white, at a gain that shows the walls neither black nor white."""
    gain, dynamic_range = draw("gain_dB"), draw("dynamic_range_dB")
    if muscle:
        gain = min(gain, -(1 - MOST_SHOWN) * dynamic_range - max(brightest_dB(layer) for layer in muscle))
        gain = max(gain, -(1 - LEAST_SHOWN) * dynamic_range - min(dimmest_dB(layer) for layer in muscle))
        gain = max(gain, -(1 - LEAST_FRAGMENT) * dynamic_range - border_dB)
    brightest = float(np.percentile(power_dB[::4, ::4], 98))
    gain = max(gain, -0.45 * dynamic_range - brightest)
    return np.asarray(1 + (power_dB + np.float32(gain)) / np.float32(dynamic_range), dtype=np.float32)


def mapped(draw: Draw, shown: FloatImage) -> FloatImage:
    """Grays 0…1 by a map of the machine: dim tissue rejected, bright tissue saturated, the rest steeper."""
    black, white = draw.between(0.0, 0.14), draw.between(0.72, 1.0)
    steeper = np.clip((shown - np.float32(black)) / np.float32(white - black), 0, 1)
    bent = steeper * steeper * (3 - 2 * steeper)
    share = np.float32(draw.between(0, 0.7))
    return np.asarray((1 - share) * steeper + share * bent, dtype=np.float32)


def locate(scene: Scene, time: Timeline, height: int) -> Tissue:
    """Maps every pixel to its tissue at rest: layers stretch and shrink with their borders."""
    columns = len(time.t_s)
    tops = borders(scene, columns)
    rest = tops.mean(axis=1) + np.arange(len(tops)) * 1e-6
    depth = (np.arange(height) + 0.5) * scene.depth_cm / height
    rest_cm = np.empty((height, columns), dtype=np.float64)
    for column in range(columns):
        rest_cm[:, column] = np.interp(depth, tops[:, column], rest)
    index = np.clip(np.searchsorted(rest, rest_cm, side="right") - 1, 0, len(scene.layers) - 1)
    slope = np.gradient(tops[:-1], axis=1) / time.s_per_px if columns > 1 else np.zeros_like(tops[:-1])
    return Tissue(
        rows=(rest_cm / FIELD_CM).astype(np.int64), layer=index, rest_cm=rest[:-1], slope=np.abs(slope)
    )


def echo_dB(draw: Draw, scene: Scene, tissue: Tissue) -> FloatImage:
    """Mean echo level of every pixel: bodies of the layers, or the bright border where it outshines them."""
    depth = np.arange(int(tissue.rows.max()) + 1, dtype=np.float64) * FIELD_CM
    columns = np.arange(tissue.rows.shape[1])
    body, edge, owner = profiles(draw, scene, tissue.rest_cm, depth)
    shine = edge_modulation(draw, tissue)
    level = np.maximum(body[tissue.rows], edge[tissue.rows] + shine[owner[tissue.rows], columns])
    for changes in ([layer.gain_dB for layer in scene.layers], [layer.fading_dB for layer in scene.layers]):
        if any(change is not None for change in changes):
            flat = np.zeros(len(columns))
            stacked = np.stack([flat if change is None else change for change in changes])
            level += stacked.astype(np.float32)[tissue.layer, columns]
    return np.asarray(level, dtype=np.float32)


def profiles(
    draw: Draw, scene: Scene, rest_cm: NDArray[np.float64], depth: NDArray[np.float64]
) -> tuple[FloatImage, FloatImage, Index]:
    """At each depth at rest: level of the body, level of the nearest border line, whose line that is."""
    index = np.clip(np.searchsorted(rest_cm, depth, side="right") - 1, 0, len(scene.layers) - 1)
    body = np.array([layer.level_dB for layer in scene.layers])[index]
    layering = smooth_noise(draw.rng, len(depth), draw.between(2, 7))[0]
    body = body + draw("layering_dB") * layering * (body > -44)
    edge, owner = np.full(len(depth), -200.0), np.zeros(len(depth), dtype=np.int64)
    for k, layer in enumerate(scene.layers):
        if not layer.edge_dB:
            continue
        beside = max(layer.level_dB, scene.layers[k - 1].level_dB if k else layer.level_dB)
        shape = beside + layer.edge_dB - 4.343 * ((depth - rest_cm[k]) / (layer.edge_cm / 2)) ** 2
        owner = np.where(shape > edge, k, owner)
        edge = np.maximum(edge, shape)
    return body.astype(np.float32), edge.astype(np.float32), owner


def edge_modulation(draw: Draw, tissue: Tissue) -> FloatImage:
    """(layers, columns) dB: a border line flickers, and fades where it runs steeply past the beam."""
    layers, columns = tissue.slope.shape
    flicker = smooth_noise(draw.rng, columns, columns / draw.between(12, 120), layers)
    fade = draw("edge_fade_dB") * np.clip(tissue.slope / 12.0, 0, 1)
    if SPECULAR in draw.manners:
        fade += draw.between(10, 26) * np.clip(tissue.slope / draw.between(2, 7), 0, 1) - draw.between(0, 6)
    return np.asarray(draw("edge_flutter_dB") * flicker - fade, dtype=np.float32)


def texture_dB(draw: Draw, scene: Scene, tissue: Tissue) -> FloatImage:
    """Speckle: long streaks in tissue that keeps its place in the beam, grain where it does not."""
    columns = tissue.rows.shape[1]
    pace = draw("column_step") * (1 + draw("motion_decorrelation") * np.clip(tissue.slope.mean(0) / 4, 0, 1))
    ticks = np.cumsum(pace).astype(np.int64)
    still = np.array([layer.still for layer in scene.layers])[tissue.layer]
    rows = (tissue.rows * draw("axial_scale")).astype(np.int64) + draw.rng.integers(SIDE)
    when = np.where(still, ticks // 30, ticks) + draw.rng.integers(SIDE)
    where = at(rows, when)
    share = np.float32(draw("streak_share"))
    streaks = speckle(float(draw.rng.choice(STREAKS)), int(draw.rng.integers(2)))[where]
    grain = speckle(float(draw.rng.choice(GRAIN)), 0)[at(rows, np.arange(columns) + draw.rng.integers(SIDE))]
    weight = np.where(still, np.float32(0.92), share)
    mixed = (weight * streaks + (1 - weight) * grain) / np.sqrt(weight**2 + (1 - weight) ** 2)
    uneven = unevenness(int(draw.rng.integers(2)))[where]
    return np.asarray(mixed + np.float32(draw("dropout_dB")) * uneven, dtype=np.float32)


def background(draw: Draw, shape: tuple[int, int], muscle: list[Layer], border_dB: float) -> FloatImage:
    """Power that no tissue sends: receiver noise that rises with depth, and still reverberation.

    Both stay below the walls: where they drown, there is nothing to measure.
    """
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None]
    most_dB = min((dimmest_dB(layer) for layer in muscle), default=np.inf) - NOISE_MARGIN_dB
    most_dB = min(most_dB, border_dB - FRAGMENT_MARGIN_dB)
    shift = draw.rng.integers(SIDE, size=2)
    noise = speckle(GRAIN[0], 1)[at(rows * 2 + shift[0], columns * 2 + shift[1])]
    level = draw("noise_dB") + draw("noise_rise_dB") * np.linspace(0, 1, shape[0])[:, None]
    level = np.minimum(level, most_dB)
    power = np.exp2((noise + level.astype(np.float32)) * np.float32(0.3322))
    if draw.chance(0.25):
        bands = smooth_noise(draw.rng, shape[0], shape[0] / draw.between(40, 160))[0]
        fall = np.linspace(8, draw.between(-30, 0), shape[0])
        clutter = np.exp2(np.minimum(draw("clutter_dB") + 8 * bands + fall, most_dB) * 0.3322)
        power = power + clutter.astype(np.float32)[:, None]
    return np.asarray(power, dtype=np.float32)


def draw_line(level: FloatImage, line: Line, cm_per_px: float) -> None:
    """Adds a free line to the echo levels, in place, brightest at its centre."""
    height, columns = level.shape
    seen = ~np.isnan(line.level_dB)
    centre = line.y_cm / cm_per_px - 0.5
    sigma_px = max(line.sigma_cm / cm_per_px, 0.4)
    reach = int(np.ceil(2.5 * sigma_px)) + 1
    x = np.arange(columns)[seen]
    for offset in range(-reach, reach + 1):
        y = np.round(centre[seen]).astype(np.int64) + offset
        inside = (y >= 0) & (y < height)
        distance = (y - centre[seen]) / sigma_px
        value = line.level_dB[seen] - 4.34 * distance**2
        level[y[inside], x[inside]] = np.maximum(level[y[inside], x[inside]], value[inside])
