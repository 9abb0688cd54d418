"""Everything around the left ventricle, from the skin to the far field, as layers."""

import numpy as np

from inference.phantom.broad_pericardium import slope
from inference.phantom.dark_septum import dark_septum
from inference.phantom.dropout import sunken, window
from inference.phantom.false_borders import chordal_lines, rv_lines
from inference.phantom.manners import BROAD_PERICARDIUM, CHORDAL_LINES, DARK_SEPTUM, DROPOUT, RV_LINES
from inference.phantom.motion import Curve
from inference.phantom.muscle import LEAST_STEP_dB, outlined, posterior_layers, septal_layers
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line, brightest_dB
from inference.phantom.texture import smooth_noise
from inference.phantom.walls import Walls

RIGHT_VENTRICLE, EFFUSION, CLICKS = 0.75, 0.12, 0.2
"""Shares of strips with a right ventricular wall, an effusion, and the vertical strokes that valves leave in
the blood as they open or close."""
LEAST_PERICARDIUM_dB = -8.0
"""The last bright line of a heart: a fibre within the wall never outshines it."""
LEAST_RV_CM = 0.3
"""Of blood between the walls: two walls that touch are one."""


def around(draw: Draw, walls: Walls, above: dict[str, float], size: float) -> tuple[list[Layer], list[Line]]:
    """All layers from the skin to the far field, and the lines that belong to the manners of drawing."""
    cavity = draw("cavity_dB")
    septum_dB = max(draw("septum_dB"), cavity + 18)
    septum, lines = septum_of(draw, walls, size, septum_dB=septum_dB, cavity_dB=cavity)
    right_blood_dB = min(draw("RV_dB"), septum[0].level_dB - LEAST_STEP_dB)
    septum[0] = outlined(septum[0], right_blood_dB)
    posterior = posterior_layers(draw, walls, size, cavity)
    blood = Layer(
        top_cm=walls.septum_inner,
        level_dB=cavity,
        edge_dB=draw("edge_dB") * (DARK_SEPTUM not in draw.manners),
        edge_cm=size * draw.between(0.04, 0.12),
        gain_dB=clicks(draw, walls) if draw.chance(CLICKS) else None,
    )
    if CHORDAL_LINES in draw.manners:
        lines += chordal_lines(draw, walls, size)
    if RV_LINES in draw.manners:
        lines += rv_lines(draw, walls, size, rv_cm=above["rv"], septum_dB=septum_dB)
    wall_dB = max(brightest_dB(layer) for layer in posterior)
    if DROPOUT in draw.manners:
        septum, posterior = one_sunken(draw, walls, septum, posterior, cavity_dB=cavity)
    layers = [
        *front(draw, walls, above, size, blood_dB=right_blood_dB, septum_dB=septum[0].level_dB),
        *septum,
        blood,
        *posterior,
        *behind(draw, walls, size, cavity_dB=cavity, wall_dB=wall_dB),
    ]
    return layers, lines


def septum_of(
    draw: Draw, walls: Walls, size: float, *, septum_dB: float, cavity_dB: float
) -> tuple[list[Layer], list[Line]]:
    """The septum's layers and lines."""
    if DARK_SEPTUM in draw.manners:
        return dark_septum(draw, walls, size, septum_dB=septum_dB, cavity_dB=cavity_dB)
    return septal_layers(draw, walls, size, septum_dB=septum_dB, cavity_dB=cavity_dB), []


def one_sunken(
    draw: Draw, walls: Walls, septum: list[Layer], posterior: list[Layer], *, cavity_dB: float
) -> tuple[list[Layer], list[Layer]]:
    """Septum and posterior wall, one of which sinks into the blood for a part of each beat."""
    gone, depth_dB = window(draw, walls), draw.between(8, 30)
    if draw.chance(0.5):
        return sunken(septum, gone, depth_dB=depth_dB, cavity_dB=cavity_dB), posterior
    return septum, sunken(posterior, gone, depth_dB=depth_dB, cavity_dB=cavity_dB)


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
    if BROAD_PERICARDIUM in draw.manners:
        bright, thick = bright + draw.between(0, 10), thick + size * draw.between(0.0, 0.5)
        layers = layers or slope(draw, walls, size, wall_dB=wall_dB, bright_dB=bright)
    if layers:
        outer = np.maximum(outer, layers[-1].top_cm)
    return [
        *layers,
        Layer(top_cm=outer, level_dB=bright, edge_dB=draw.between(0, 4)),
        Layer(top_cm=outer + thick, level_dB=draw("far_dB")),
        Layer(
            top_cm=np.full(len(outer), float(outer.max()) + thick + size * draw.between(0.8, 4)),
            level_dB=draw("far_dB"),
        ),
    ]
