"""Great arteries: walls that move together, a valve that opens like a box, a still atrium behind."""

from dataclasses import dataclass, replace

import numpy as np

from inference.phantom.lookalikes.pieces import (
    blood,
    body_size,
    ejection,
    far_wall,
    nearby,
    put_in,
    skin,
    strokes,
    uneven,
    wall,
    within,
)
from inference.phantom.lookalikes.ranges import vary
from inference.phantom.motion import Curve, contraction, rhythm, wander
from inference.phantom.neighbours import around
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line, Scene, Timeline
from inference.phantom.ventricle import depth_past, moving_walls
from inference.phantom.walls import Walls


@dataclass(frozen=True, kw_only=True)
class Root:
    """Depths in cm of the aortic walls and of the left atrium's far wall at each column."""

    front: Curve
    front_inner: Curve
    back_inner: Curve
    back: Curve
    atrial_wall: Curve


def aorta(draw: Draw, time: Timeline) -> Scene:
    """Aortic root and left atrium; everything before and behind them is drawn as for a ventricle."""
    size = body_size(draw)
    walls, above = moving_walls(draw, time, size)
    root = aortic_root(draw, walls, size)
    end = root.atrial_wall + size * vary(draw, "atrial_wall_cm")
    stand_in = replace(
        walls,
        septum_outer=root.front,
        septum_inner=root.front_inner,
        posterior_inner=root.atrial_wall,
        posterior_outer=end,
    )
    layers, beside = around(draw, stand_in, above, size)
    between = [wall(draw, root.back_inner), blood(draw, root.back, walls.contraction)]
    layers = put_in(layers, between, float(root.atrial_wall.mean()))
    layers = lit_by_the_beat(draw, layers, walls.contraction)
    depth = depth_shown(draw, root, float(end.max()), size)
    return Scene(
        kind="aorta",
        depth_cm=depth,
        layers=within(layers, depth),
        lines=[
            *cusps(draw, root, ejection(draw, walls.beats, time.t_s)),
            *wall_echoes(draw, root, size),
            *nearby(draw, stand_in, above, size),
            *beside,
        ],
    )


def depth_shown(draw: Draw, root: Root, end_cm: float, size: float) -> float:
    """How deep the strip reaches: past the atrium, or too shallow to hold its far wall."""
    if draw.chance(0.9):
        return depth_past(draw, end_cm, size)
    back, far = float(root.back.max()), float(root.atrial_wall.min())
    return back + draw.between(0.1, 0.9) * max(far - back, 0.2)


def aortic_root(draw: Draw, walls: Walls, size: float) -> Root:
    """Two walls that move forward together in systole; the atrium's far wall hardly moves."""
    forward = size * vary(draw, "root_motion_cm") * walls.contraction
    drift = walls.septum_outer.mean() + 0.5 * forward.mean()
    calcified = draw.chance(0.15)
    thick = size * vary(draw, "calcified_wall_cm" if calcified else "root_wall_cm")
    front = drift - forward
    back_inner = drift + thick + size * vary(draw, "root_cm") - vary(draw, "root_parallel") * forward
    back = back_inner + thick * draw.between(0.6, 1.3)
    atrium = size * vary(draw, "dilated_atrium_cm" if draw.chance(0.2) else "atrium_cm")
    still = size * vary(draw, "atrial_wall_motion_cm") * walls.contraction
    return Root(
        front=front,
        front_inner=front + thick,
        back_inner=back_inner,
        back=back,
        atrial_wall=float(back.mean()) + atrium + 0.5 * forward.mean() - still,
    )


def wall_echoes(draw: Draw, root: Root, size: float) -> list[Line]:
    """Bright threads that ride on either aortic wall: real walls are double and ragged."""
    lines = []
    for _ in range(int(draw.between(0, 5))):
        rest = root.front if draw.chance(0.5) else root.back_inner
        level = uneven(draw, len(rest), vary(draw, "cusp_dB"))
        if draw.chance(0.4):
            level = np.where(np.gradient(rest) * draw.rng.choice([-1, 1]) > 0, level, np.nan)
        y = rest + size * draw.between(-0.25, 0.45)
        lines.append(Line(y_cm=y, level_dB=level, sigma_cm=size * draw.between(0.03, 0.1)))
    return lines


def lit_by_the_beat(draw: Draw, layers: list[Layer], moved: Curve) -> list[Layer]:
    """Dark layers (outflow tract, lumen) that brighten or darken with the beat, as on high gain."""
    if draw.chance(0.4):
        return layers
    swing = vary(draw, "blood_swing_dB") * (moved if draw.chance(0.5) else np.exp(-8 * np.abs(moved)))
    return [
        replace(layer, gain_dB=swing) if layer.level_dB < -36 and layer.gain_dB is None else layer
        for layer in layers
    ]


def cusps(draw: Draw, root: Root, opened: Curve) -> list[Line]:
    """Aortic cusps riding with the root: a line mid-lumen when closed, a box when open; some unseen."""
    if draw.chance(0.25):
        return []
    middle = root.front_inner + draw.between(0.4, 0.6) * (root.back_inner - root.front_inner)
    half = (root.back_inner - root.front_inner) / 2 * vary(draw, "cusp_opening")
    sigma, fainter = draw.between(0.03, 0.1), vary(draw, "stroke_fainter_dB")
    level = uneven(draw, len(opened), vary(draw, "cusp_dB"))
    level = np.where(opened > 0.5, level - draw.between(-4, 12), level)
    if draw.chance(0.35):
        level = np.where(opened > 0, level, np.nan)  # the closed line is out of the beam
    if draw.chance(0.5):
        level = np.where(uneven(draw, len(level), 0.0) > draw.between(-2, 0.5), level, np.nan)
    sides = [-1, 1] if draw.chance(0.7) else [int(draw.rng.choice([-1, 1]))]
    lines = []
    for side in sides:
        lines += strokes(Line(y_cm=middle + side * half * opened, level_dB=level, sigma_cm=sigma), fainter)
    return lines


def pulmonary(draw: Draw, time: Timeline) -> Scene:
    """Right outflow tract and pulmonary valve: one cusp drops back in systole, slopes back in diastole."""
    t, size = time.t_s, body_size(draw)
    beats = rhythm(draw, float(t.max()))
    moved = contraction(draw).curve(beats, t)
    layers, top = skin(draw, len(t), size)
    ride = size * draw.between(0.1, 0.8) * moved + wander(draw, t, draw("respiration_cm"), 4.0)
    lumen = size * draw.between(1.6, 4.5)
    back = top + size * draw("RV_wall_cm") + lumen + ride
    layers += [wall(draw, top + 0.5 * ride), blood(draw, top + 0.5 * ride + draw("RV_wall_cm"), moved)]
    layers += [wall(draw, back), blood(draw, back + size * draw.between(0.3, 1.0), moved)]
    far = float(back.max()) + size * draw.between(2.0, 5.0) + 0 * t
    layers += far_wall(draw, far, size)
    opened = ejection(draw, beats, t)
    closed = back - lumen * draw.between(0.45, 0.8)
    y = closed + size * vary(draw, "pulmonary_leaflet_cm") * opened
    level = uneven(draw, len(t), vary(draw, "cusp_dB"))
    cusp = Line(y_cm=np.minimum(y, back), level_dB=level, sigma_cm=draw.between(0.04, 0.12))
    return Scene(
        kind="pulmonary",
        depth_cm=depth_past(draw, float(far.max()), size),
        layers=layers,
        lines=strokes(cusp, vary(draw, "stroke_fainter_dB")),
    )
