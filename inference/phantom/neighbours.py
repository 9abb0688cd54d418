"""Everything around the left ventricle, from the skin to the far field, as layers."""

import numpy as np

from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer
from inference.phantom.texture import smooth_noise
from inference.phantom.walls import Walls

RIGHT_VENTRICLE, EFFUSION, FAINT_WALL, DIM_CORE, CLICKS = 0.75, 0.12, 0.35, 0.45, 0.2
"""Shares of strips with a right ventricular wall, an effusion, an endocardium without a line of its own, a
posterior wall dim inside, and the vertical strokes that valves leave in the blood as they open or close."""
LEAST_SEPTAL_STEP_dB = 5.0
"""The septum is at least this much brighter than the blood of the right ventricle: of a border that nobody
can see there is no truth to tell."""
LEAST_RV_CM = 0.3
"""Of blood between the walls, for the same reason: two walls that touch are one."""


def around(draw: Draw, walls: Walls, above: dict[str, float], size: float) -> list[Layer]:
    """All layers from the skin to the far field."""
    faint = draw.chance(FAINT_WALL)
    cavity = draw("cavity_dB")
    wall = max(draw("posterior_wall_dB"), cavity + draw.between(8, 18))
    septum = max(draw("septum_dB"), cavity + 18)
    walls_of_heart = [
        Layer(
            top_cm=walls.septum_outer,
            level_dB=septum,
            edge_dB=draw("edge_dB"),
            edge_cm=size * draw.between(0.05, 0.16),
        ),
        *septal_core(draw, walls, septum, size),
        Layer(
            top_cm=walls.septum_inner,
            level_dB=cavity,
            edge_dB=draw("edge_dB"),
            edge_cm=size * draw.between(0.04, 0.12),
            gain_dB=clicks(draw, walls) if draw.chance(CLICKS) else None,
        ),
        Layer(
            top_cm=walls.posterior_inner,
            level_dB=wall,
            gain_dB=draw("systolic_dB") * walls.contraction,
            edge_dB=0.0 if faint else draw("edge_dB"),
            edge_cm=size * draw.between(0.04, 0.12),
        ),
    ]
    return [
        *front(draw, walls, above, size, cavity_dB=cavity, septum_dB=septum),
        *walls_of_heart,
        *posterior_core(draw, walls, wall, cavity),
        *behind(draw, walls, size, cavity),
    ]


def front(
    draw: Draw, walls: Walls, above: dict[str, float], size: float, *, cavity_dB: float, septum_dB: float
) -> list[Layer]:
    """Near field, chest wall, right ventricular wall and right ventricle, down to the septum."""
    columns = len(walls.septum_inner)
    motion = size * draw("RV_motion_cm") * walls.contraction
    room = np.maximum(walls.septum_outer - above["rv"], 0.0)
    rv = np.minimum(above["rv"] + np.minimum(motion, 0.7 * room), walls.septum_outer - size * LEAST_RV_CM)
    rv_wall = np.minimum(above["rv_wall"] + np.minimum(0.7 * motion, 0.5 * room), rv)
    has_rv = draw.chance(RIGHT_VENTRICLE)
    wall_dB = draw("septum_dB") if has_rv else cavity_dB + draw.between(0, 25)
    brightest_dB = septum_dB - LEAST_SEPTAL_STEP_dB
    blood_dB = min(draw("RV_dB"), brightest_dB)
    return [
        Layer(top_cm=np.zeros(columns), level_dB=draw("near_field_dB"), still=True),
        Layer(
            top_cm=np.full(columns, above["chest"]), level_dB=draw("chest_wall_dB"), still=draw.chance(0.5)
        ),
        Layer(
            top_cm=rv_wall,
            level_dB=wall_dB,
            edge_dB=draw("edge_dB") if has_rv else 0.0,
            gain_dB=draw("systolic_dB") * walls.contraction,
        ),
        Layer(
            top_cm=rv,
            level_dB=blood_dB,
            edge_dB=draw("edge_dB") if draw.chance(0.5) else 0.0,
            gain_dB=np.minimum(uneven(draw, columns), brightest_dB - blood_dB),
        ),
    ]


def uneven(draw: Draw, columns: int) -> Curve:
    """Blood that is brighter at one time than at another, in dB."""
    most, sigma = draw.between(0, 6), columns / draw.between(4, 30)
    return np.asarray(most * smooth_noise(draw.rng, columns, sigma)[0])


def clicks(draw: Draw, walls: Walls) -> Curve:
    """Short strokes across the cavity where the wall turns at the end of systole."""
    turning = np.flatnonzero((np.diff(walls.contraction[:-1]) > 0) & (np.diff(walls.contraction[1:]) <= 0))
    gain = np.zeros(len(walls.contraction))
    for column in turning[walls.contraction[turning] > 0.5] + int(draw.between(0, 8)):
        gain[column : column + 1 + int(draw.between(0, 3))] = draw("click_dB")
    return gain


def septal_core(draw: Draw, walls: Walls, septum_dB: float, size: float) -> list[Layer]:
    """Now and then a septum of two bright faces with a darker or brighter core."""
    if not draw.chance(0.4):
        return []
    thick = walls.septum_inner - walls.septum_outer
    first = draw.between(0.15, 0.4)
    core = septum_dB + draw.between(-16, 4)
    return [
        Layer(
            top_cm=walls.septum_outer + first * thick,
            level_dB=core,
            edge_dB=draw.between(0, 8) if draw.chance(0.3) else 0.0,
            edge_cm=0.06 * size,
        ),
        Layer(top_cm=walls.septum_inner - draw.between(0.1, 0.35) * thick, level_dB=septum_dB),
    ]


def posterior_core(draw: Draw, walls: Walls, wall_dB: float, cavity_dB: float) -> list[Layer]:
    """Now and then a posterior wall that is dim inside, its rims brighter than its core."""
    if not draw.chance(DIM_CORE):
        return []
    thick = walls.posterior_outer - walls.posterior_inner
    core = max(wall_dB + draw.between(-16, 2), cavity_dB + 4)
    return [
        Layer(top_cm=walls.posterior_inner + draw.between(0.1, 0.3) * thick, level_dB=core),
        Layer(
            top_cm=walls.posterior_outer - draw.between(0.1, 0.4) * thick,
            level_dB=wall_dB + draw.between(-4, 8),
            edge_dB=draw("edge_dB") if draw.chance(0.4) else 0.0,
        ),
    ]


def behind(draw: Draw, walls: Walls, size: float, cavity_dB: float) -> list[Layer]:
    """Pericardium, sometimes an effusion before it, and the reverberating far field."""
    outer = walls.posterior_outer
    layers = []
    if draw.chance(EFFUSION):
        layers.append(Layer(top_cm=outer, level_dB=cavity_dB, edge_dB=draw.between(4, 14)))
        outer = outer + size * draw("effusion_cm") * (0.7 + 0.3 * walls.contraction)
    bright = draw("pericardium_dB") - (draw.between(4, 16) if draw.chance(0.25) else 0.0)
    thick = draw("pericardium_cm") * max(size, 0.6)
    return [
        *layers,
        Layer(top_cm=outer, level_dB=bright, edge_dB=draw.between(0, 4)),
        Layer(top_cm=outer + thick, level_dB=draw("far_dB")),
        Layer(
            top_cm=np.full(len(outer), float(outer.max()) + thick + size * draw.between(0.8, 4)),
            level_dB=draw("far_dB"),
        ),
    ]
