"""The two walls of the left ventricle as layers, with every border visible."""

from dataclasses import replace

import numpy as np

from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, dimmest_dB
from inference.phantom.walls import Walls

FAINT_WALL, DIM_CORE, LINED = 0.35, 0.45, 0.3
"""Shares of posterior walls without a line of their own at the endocardium, dim inside, with a lining."""
HALF_FAINT, THIN_FACES, TWO_FACES = 0.3, 0.15, 0.4
"""Shares of septa fainter towards the right ventricle, of two thin lines about a core as dark as blood, and
of two broad bright faces; the rest is even."""
LEAST_STEP_dB = 7.0
"""Septum and posterior wall are at least this much brighter than the blood beside them, the pericardium
than the posterior wall: the truth of an invisible border would be meaningless."""
SEEN_dB = 12.0
"""A border with a smaller step gets a bright line that makes up for the difference."""
LEAST_RIM_CM = 0.12
"""Of a bright face of a wall with a darker core."""


def septal_layers(
    draw: Draw, walls: Walls, size: float, *, septum_dB: float, cavity_dB: float
) -> list[Layer]:
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
        return faced(draw, right, walls, *faces, core_dB=cavity_dB + draw.between(0, 10))
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
    level = cavity_dB + draw.between(0.3, 0.65) * (wall_dB - cavity_dB)
    thick = size * draw.between(0.08, 0.42) * (1 + draw.between(-0.3, 0.5) * walls.contraction)
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
