"""Everything around the left ventricle, from the skin to the far field, as layers."""

from dataclasses import replace

import numpy as np

from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, brightest_dB, dimmest_dB
from inference.phantom.texture import smooth_noise
from inference.phantom.walls import Walls

RIGHT_VENTRICLE, EFFUSION, FAINT_WALL, DIM_CORE, CLICKS = 0.75, 0.12, 0.35, 0.45, 0.2
"""Shares of strips with a right ventricular wall, an effusion, an endocardium without a line of its own, a
posterior wall dim inside, and the vertical strokes that valves leave in the blood as they open or close."""
LEAST_STEP_dB = 7.0
"""Septum and posterior wall are at least this much brighter than the blood beside them, the pericardium
than the posterior wall: of a border that nobody can see there is no truth to tell."""
SEEN_dB = 12.0
"""A border with a smaller step than this shines by what is missing."""
LEAST_PERICARDIUM_dB = -8.0
"""The last bright line of a heart: a fibre within the wall never outshines it."""
LEAST_RV_CM = 0.3
"""Of blood between the walls, for the same reason: two walls that touch are one."""
LEAST_RIM_CM = 0.12
"""Of a bright face of a wall with a darker core."""
LINED = 0.3
"""Share of posterior walls with a fainter lining."""
HALF_FAINT, THIN_FACES, TWO_FACES = 0.3, 0.15, 0.4
"""Shares of septa fainter towards the right ventricle, of two thin lines about a core as dark as blood, and
of two broad bright faces; the rest is even."""


def around(draw: Draw, walls: Walls, above: dict[str, float], size: float) -> list[Layer]:
    """All layers from the skin to the far field."""
    cavity = draw("cavity_dB")
    septum = septal_layers(draw, walls, max(draw("septum_dB"), cavity + 18), size)
    right_blood_dB = min(draw("RV_dB"), septum[0].level_dB - LEAST_STEP_dB)
    septum[0] = outlined(septum[0], right_blood_dB)
    posterior = posterior_layers(draw, walls, size, cavity)
    blood = Layer(
        top_cm=walls.septum_inner,
        level_dB=cavity,
        edge_dB=draw("edge_dB"),
        edge_cm=size * draw.between(0.04, 0.12),
        gain_dB=clicks(draw, walls) if draw.chance(CLICKS) else None,
    )
    return [
        *front(draw, walls, above, size, blood_dB=right_blood_dB, septum_dB=septum[0].level_dB),
        *septum,
        blood,
        *posterior,
        *behind(draw, walls, size, cavity_dB=cavity, wall_dB=max(brightest_dB(layer) for layer in posterior)),
    ]


def front(
    draw: Draw, walls: Walls, above: dict[str, float], size: float, *, blood_dB: float, septum_dB: float
) -> list[Layer]:
    """Near field, chest wall, right ventricular wall and right ventricle, down to the septum."""
    columns = len(walls.septum_inner)
    motion = size * draw("RV_motion_cm") * walls.contraction
    room = np.maximum(walls.septum_outer - above["rv"], 0.0)
    rv = np.minimum(above["rv"] + np.minimum(motion, 0.7 * room), walls.septum_outer - size * LEAST_RV_CM)
    rv_wall = np.minimum(above["rv_wall"] + np.minimum(0.7 * motion, 0.5 * room), rv)
    has_rv = draw.chance(RIGHT_VENTRICLE)
    wall_dB = draw("septum_dB") if has_rv else blood_dB + draw.between(-10, 10)
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
            gain_dB=np.minimum(uneven(draw, columns), septum_dB - LEAST_STEP_dB - blood_dB),
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


def septal_layers(draw: Draw, walls: Walls, septum_dB: float, size: float) -> list[Layer]:
    """The septum: fainter towards the right ventricle, or of two bright faces about a core, or even."""
    thick = walls.septum_inner - walls.septum_outer
    right = Layer(
        top_cm=walls.septum_outer,
        level_dB=septum_dB,
        edge_dB=draw("edge_dB"),
        edge_cm=size * draw.between(0.05, 0.16),
        muscle=True,
    )
    build = draw.rng.random()
    if build < HALF_FAINT:
        fainter = replace(right, level_dB=septum_dB - draw.between(3, 9))
        left = walls.septum_outer + draw.between(0.15, 0.55) * thick
        return [fainter, Layer(top_cm=left, level_dB=septum_dB, edge_dB=line(draw), muscle=True)]
    if build < HALF_FAINT + THIN_FACES:
        faces = (np.minimum(size * draw.between(0.08, 0.16), 0.3 * thick) for _ in range(2))
        return faced(draw, right, walls, *faces, core_dB=draw("cavity_dB") + draw.between(0, 10))
    if build < HALF_FAINT + THIN_FACES + TWO_FACES:
        first = np.maximum(draw.between(0.15, 0.4) * thick, LEAST_RIM_CM * size)
        last = draw.between(0.1, 0.35) * thick
        return faced(draw, right, walls, first, last, core_dB=septum_dB + draw.between(-16, 4))
    return [right]


def faced(
    draw: Draw, right: Layer, walls: Walls, first_cm: Curve, last_cm: Curve, *, core_dB: float
) -> list[Layer]:
    """A septum of two faces, `first_cm` and `last_cm` thick, about a core."""
    return [
        right,
        Layer(
            top_cm=walls.septum_outer + first_cm,
            level_dB=core_dB,
            edge_dB=line(draw),
            edge_cm=0.5 * right.edge_cm,
        ),
        Layer(top_cm=walls.septum_inner - last_cm, level_dB=right.level_dB, muscle=True),
    ]


def outlined(layer: Layer, beside_dB: float) -> Layer:
    """The layer, its upper border shining if what lies above it, at `beside_dB`, is nearly as bright."""
    return replace(layer, edge_dB=max(layer.edge_dB, SEEN_dB - (layer.level_dB - beside_dB)))


def line(draw: Draw) -> float:
    """Now and then an inner border that shines, in dB."""
    return draw.between(0, 8) if draw.chance(0.3) else 0.0


def posterior_layers(draw: Draw, walls: Walls, size: float, cavity_dB: float) -> list[Layer]:
    """The posterior wall with its lining and its core, bright enough against the blood in every phase."""
    systolic = draw("systolic_dB")
    wall = max(draw("posterior_wall_dB"), cavity_dB + draw.between(LEAST_STEP_dB, 18) + max(0.0, -systolic))
    inner = Layer(
        top_cm=walls.posterior_inner,
        level_dB=wall,
        gain_dB=systolic * walls.contraction,
        edge_dB=0.0 if draw.chance(FAINT_WALL) else draw("edge_dB"),
        edge_cm=size * draw.between(0.04, 0.12),
        muscle=True,
    )
    lined = draw.chance(LINED)
    before = [lining(draw, walls, size, cavity_dB=cavity_dB, wall_dB=dimmest_dB(inner))] if lined else []
    inner = outlined(inner, before[0].level_dB if lined else cavity_dB)
    return [*before, inner, *posterior_core(draw, walls, size, wall_dB=wall, cavity_dB=cavity_dB)]


def lining(draw: Draw, walls: Walls, size: float, *, cavity_dB: float, wall_dB: float) -> Layer:
    """Trabeculae and chordal tissue on the endocardium: a fainter band before the wall, no part of it.

    The readers of a real strip put the border at its far side (ASE 2015: trabeculae belong to the cavity).
    """
    level = cavity_dB + draw.between(0.3, 0.8) * (wall_dB - cavity_dB)
    thick = size * draw.between(0.08, 0.5) * (1 + draw.between(-0.3, 0.5) * walls.contraction)
    return Layer(top_cm=walls.posterior_inner - np.minimum(thick, 0.3 * walls.cavity_cm), level_dB=level)


def posterior_core(draw: Draw, walls: Walls, size: float, *, wall_dB: float, cavity_dB: float) -> list[Layer]:
    """Now and then a posterior wall that is dim inside, its rims brighter than its core."""
    if not draw.chance(DIM_CORE):
        return []
    thick = walls.posterior_outer - walls.posterior_inner
    rim = np.maximum(draw.between(0.1, 0.3) * thick, LEAST_RIM_CM * size)
    core = max(wall_dB + draw.between(-14, 2), cavity_dB + 5)
    return [
        Layer(top_cm=walls.posterior_inner + rim, level_dB=core),
        Layer(
            top_cm=walls.posterior_outer - draw.between(0.1, 0.4) * thick,
            level_dB=wall_dB + draw.between(-4, 6),
            edge_dB=draw("edge_dB") if draw.chance(0.4) else 0.0,
        ),
    ]


def behind(draw: Draw, walls: Walls, size: float, *, cavity_dB: float, wall_dB: float) -> list[Layer]:
    """Pericardium, sometimes an effusion before it, and the reverberating far field."""
    outer = walls.posterior_outer
    layers = []
    if draw.chance(EFFUSION):
        layers.append(Layer(top_cm=outer, level_dB=cavity_dB, edge_dB=draw.between(4, 14)))
        outer = outer + size * draw("effusion_cm") * (0.7 + 0.3 * walls.contraction)
    bright = draw("pericardium_dB") - (draw.between(4, 16) if draw.chance(0.25) else 0.0)
    bright = max(bright, LEAST_PERICARDIUM_dB, wall_dB + LEAST_STEP_dB)
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
