"""One phantom strip from one seed."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.labelled import CycleTruth, LabelledStrip
from inference.phantom.lookalikes import LOOKALIKES, WEIGHTS
from inference.phantom.manners import some_manners
from inference.phantom.parameters import Draw
from inference.phantom.render import render
from inference.phantom.scene import Beat, Scene, Timeline
from inference.phantom.screen import dress
from inference.phantom.ventricle import left_ventricle
from inference.types import Calibration, Landmarks

LEAST_PX_PER_S, MOST_PX_PER_S = 40.0, 700.0
"""Slowest sweep on the smallest screen, fastest on the largest."""
WALL_MARGIN = 0.12
"""A cycle box spans the walls plus this share of their height above and below."""


@dataclass(frozen=True, kw_only=True)
class Phantom(LabelledStrip):
    """A drawn strip; the same seed and kind always give the same phantom."""

    seed: int


def make_phantom(seed: int, kind: str | None = None, manners: Collection[str] = ()) -> Phantom:
    """The phantom that belongs to `seed`: always the same pixels and truth for the same seed and kind.

    `kind` is "LV", one of `LOOKALIKES`, or None for a mix of six left ventricles in ten; `manners` are some
    of `manners.MANNERS`.
    """
    draw = Draw(np.random.default_rng(seed), frozenset(manners))
    kind = kind or some_kind(draw)
    time = timeline(draw)
    scene = left_ventricle(draw, time) if kind == "LV" else LOOKALIKES[kind](draw, time)
    height = int(draw("height_px"))
    cm_per_px = scene.depth_cm / height
    walls = walls_px(scene, cm_per_px)
    heart = None if walls is None else (float(walls.min()), float(walls.max()))
    pixels = dress(draw, render(draw, scene, time, height), time, draw("rate_bpm"), heart_px=heart)
    return Phantom(
        name=f"{kind} {seed}",
        kind=kind,
        seed=seed,
        pixels=pixels,
        calibration=Calibration(cm_per_px_y=cm_per_px, s_per_px_x=time.s_per_px),
        cycles=tuple(truth(beat, cm_per_px, height) for beat in scene.beats),
        walls_px=walls,
        manners=tuple(sorted(manners)),
    )


def make_phantom_in_some_manners(seed: int, kind: str | None = None) -> Phantom:
    """The phantom of `make_phantom` in the manners that training draws for its seed."""
    return make_phantom(seed, kind, some_manners(seed))


def some_kind(draw: Draw) -> str:
    """A left ventricle in six of ten, else a look-alike, the hard ones most often."""
    if draw.chance(0.6):
        return "LV"
    return str(draw.rng.choice(list(WEIGHTS), p=list(WEIGHTS.values())))


def timeline(draw: Draw) -> Timeline:
    """The time axis: one sweep, or two parted by the black bar where new overwrites old."""
    width = int(draw("width_px"))
    s_per_px = float(np.clip(draw("seconds") / width, 1 / MOST_PX_PER_S, 1 / LEAST_PX_PER_S))
    t = np.arange(width, dtype=np.float64) * s_per_px
    if not draw.chance(0.2):
        return Timeline(t_s=t, s_per_px=s_per_px)
    start = int(draw.between(0.05, 0.95) * width)
    stop = min(width, start + int(draw.between(3, 14)))
    t[:start] += width * s_per_px + draw.between(0, 0.8)
    return Timeline(t_s=t, s_per_px=s_per_px, gap_px=(start, stop))


def truth(beat: Beat, cm_per_px: float, height: int) -> CycleTruth:
    """A beat in strip pixels (pixel centres at whole numbers)."""
    margin = WALL_MARGIN * (beat.bottom_cm - beat.top_cm)
    top = max((beat.top_cm - margin) / cm_per_px - 0.5, -0.5)
    bottom = min((beat.bottom_cm + margin) / cm_per_px - 0.5, height - 0.5)
    d, s = (
        [(float(x), y / cm_per_px - 0.5) for y in depths]
        for x, depths in ((beat.diastole_px, beat.diastole_cm), (beat.systole_px, beat.systole_cm))
    )
    return CycleTruth(
        box_px=(beat.start_px, top, beat.end_px, bottom),
        landmarks_px=Landmarks(diastole=(d[0], d[1], d[2], d[3]), systole=(s[0], s[1], s[2], s[3])),
    )


def walls_px(scene: Scene, cm_per_px: float) -> NDArray[np.float32] | None:
    """The four wall borders in strip pixels at every column."""
    if scene.walls_cm is None:
        return None
    return np.asarray(scene.walls_cm / cm_per_px - 0.5, dtype=np.float32)
