"""The left ventricle in M-mode at chordal level: walls, neighbours, chordae, and the exact truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.phantom.motion import Curve, Rhythm, contraction, rhythm, wander
from inference.phantom.parameters import Draw
from inference.phantom.scene import Beat, Layer, Line, Scene, Timeline

CYCLE_LEAD = 0.2
"""A cycle box starts this share of the beat before end diastole (architecture.md)."""


@dataclass(frozen=True, kw_only=True)
class Walls:
    """The four borders in cm at each column, and the beats that move them."""

    septum_outer: Curve
    septum_inner: Curve
    posterior_inner: Curve
    posterior_outer: Curve
    beats: Rhythm
    contraction: Curve
    """The posterior wall's contraction at each column, 0…1."""

    @property
    def cavity_cm(self) -> Curve:
        """Inner diameter at each column."""
        return self.posterior_inner - self.septum_inner

    @property
    def stacked(self) -> NDArray[np.float64]:
        """(4, columns), top to bottom."""
        return np.stack([self.septum_outer, self.septum_inner, self.posterior_inner, self.posterior_outer])

    def at(self, column: int) -> tuple[float, float, float, float]:
        """The four borders at one column, top to bottom."""
        return (
            float(self.septum_outer[column]),
            float(self.septum_inner[column]),
            float(self.posterior_inner[column]),
            float(self.posterior_outer[column]),
        )


def left_ventricle(draw: Draw, time: Timeline) -> Scene:
    """A left ventricle with everything around it and its measurable beats."""
    size = draw("child_scale") if draw.chance(0.2) else 1.0
    walls, top_cm = moving_walls(draw, time, size)
    depth_cm = float(walls.posterior_outer.max()) + size * draw("depth_margin_cm")
    layers = around(draw, walls, top_cm, size)
    lines = [
        chorda(draw, walls, size) for _ in range(draw.rng.choice([0, 1, 2, 3], p=[0.3, 0.3, 0.25, 0.15]))
    ]
    beats = measurable_beats(walls, time)
    return Scene(
        kind="LV", depth_cm=depth_cm, layers=layers, lines=lines, beats=beats, walls_cm=walls.stacked
    )


def moving_walls(draw: Draw, time: Timeline, size: float) -> tuple[Walls, dict[str, float]]:
    """The four borders over time, and the resting depths (cm) of what lies above the septum."""
    t = time.t_s
    beats = rhythm(draw, float(t.max()))
    septal, posterior = contraction(draw).curve(beats, t), contraction(draw).curve(beats, t)
    above = depths_above_septum(draw, size)
    LVIDd, IVSd, LVPWd = size * draw("LVIDd_cm"), size * draw("IVSd_cm"), size * draw("LVPWd_cm")
    shortening, share = LVIDd * draw("FS"), draw("septal_share")
    if draw.chance(0.06):
        share = -draw.between(0.05, 0.25)  # paradoxical septum: it moves with the posterior wall
    drift = wander(draw, t, size * draw("respiration_cm"), draw.between(2.5, 6.0))
    inner = above["septum"] + IVSd + share * shortening * septal + drift
    facing = above["septum"] + IVSd + LVIDd - (1 - share) * shortening * posterior + drift
    facing = np.maximum(facing, inner + 0.15 * LVIDd)
    walls = Walls(
        septum_outer=inner - IVSd * (1 + draw("IVS_thickening") * septal),
        septum_inner=inner,
        posterior_inner=facing,
        posterior_outer=facing + LVPWd * (1 + draw("LVPW_thickening") * posterior),
        beats=beats,
        contraction=posterior,
    )
    return walls, above


def depths_above_septum(draw: Draw, size: float) -> dict[str, float]:
    """Resting depths in cm of near field, chest wall, right ventricle and septum."""
    near = size * draw("near_field_cm")
    chest = near + size * draw("chest_wall_cm")
    rv = chest + size * draw("RV_wall_cm")
    return {"chest": near, "rv_wall": chest, "rv": rv, "septum": rv + size * draw("RV_cm")}


def around(draw: Draw, walls: Walls, above: dict[str, float], size: float) -> list[Layer]:
    """All layers from the skin to the far field."""
    columns = len(walls.septum_inner)
    cavity = draw("cavity_dB")
    rv_motion = size * draw.between(-0.1, 0.35) * walls.contraction
    rv_wall = np.full(columns, above["rv_wall"]) + rv_motion
    rv = np.full(columns, above["rv"]) + 1.2 * rv_motion
    has_rv = draw.chance(0.75)
    layers = [
        Layer(top_cm=np.zeros(columns), level_dB=draw("near_field_dB"), still=True),
        Layer(
            top_cm=np.full(columns, above["chest"]), level_dB=draw("chest_wall_dB"), still=draw.chance(0.5)
        ),
        Layer(
            top_cm=rv_wall,
            level_dB=draw("septum_dB") if has_rv else cavity + draw.between(0, 25),
            edge_dB=draw("edge_dB") if has_rv else 0.0,
        ),
        Layer(top_cm=rv, level_dB=cavity + draw.between(0, 28)),
        Layer(top_cm=walls.septum_outer, level_dB=draw("septum_dB"), edge_dB=draw("edge_dB"), edge_cm=0.1),
        Layer(top_cm=walls.septum_inner, level_dB=cavity, edge_dB=draw("edge_dB"), edge_cm=0.07),
        Layer(
            top_cm=walls.posterior_inner,
            level_dB=draw("posterior_wall_dB"),
            edge_dB=draw("edge_dB"),
            edge_cm=0.06,
        ),
    ]
    return layers + behind(draw, walls, size)


def behind(draw: Draw, walls: Walls, size: float) -> list[Layer]:
    """Pericardium, sometimes an effusion before it, and the reverberating far field."""
    outer = walls.posterior_outer
    layers = []
    if draw.chance(0.1):
        layers.append(Layer(top_cm=outer, level_dB=draw("cavity_dB"), edge_dB=draw.between(4, 14)))
        outer = outer + size * draw("effusion_cm") * (0.7 + 0.3 * walls.contraction)
    bright = Layer(top_cm=outer, level_dB=draw("pericardium_dB"), edge_dB=draw.between(0, 4))
    far = Layer(top_cm=outer + draw("pericardium_cm") * max(size, 0.6), level_dB=draw("far_dB"))
    return [*layers, bright, far]


def chorda(draw: Draw, walls: Walls, size: float) -> Line:
    """A chorda or papillary echo in the cavity, any brightness, parallel to a wall or slanting in systole."""
    place = draw.between(0.08, 0.55)
    y = walls.posterior_inner - place * walls.cavity_cm * draw.between(0.7, 1.0)
    if draw.chance(0.4):
        y = y + size * draw.between(-0.6, 0.6) * walls.contraction
    level = draw("chorda_dB") + draw.between(0, 6) * np.sin(np.linspace(0, draw.between(5, 60), len(y)))
    if draw.chance(0.5):
        level = np.where(walls.contraction > draw.between(0.1, 0.5), level, np.nan)
    return Line(y_cm=y, level_dB=level, sigma_cm=size * draw.between(0.03, 0.12))


def measurable_beats(walls: Walls, time: Timeline) -> list[Beat]:
    """Every beat whose whole box lies in one unbroken stretch of the strip."""
    found = []
    for start, stop in time.segments:
        columns = np.arange(start, stop)
        if len(columns) < 2:
            continue
        r_px = np.interp(walls.beats.r_s, time.t_s[columns], columns, left=np.nan, right=np.nan)
        for r, rr_s in zip(r_px[:-1], walls.beats.rr_s, strict=True):
            beat = None if np.isnan(r) else beat_at(walls, r, rr_s / time.s_per_px, (start, stop - 1))
            found += [beat] if beat else []
    return found


def beat_at(walls: Walls, r_px: float, rr_px: float, limits: tuple[int, int]) -> Beat | None:
    """The beat whose R wave is at column `r_px`, or None when it runs out of `limits`."""
    low, high = round(r_px - 0.1 * rr_px), round(r_px + 0.08 * rr_px)
    diastole = low + int(np.argmax(walls.cavity_cm[max(low, 0) : high + 1]))
    start, end = diastole - CYCLE_LEAD * rr_px, diastole + (1 - CYCLE_LEAD) * rr_px
    if low < limits[0] or start < limits[0] or end > limits[1]:
        return None
    first, last = round(r_px + 0.15 * rr_px), round(r_px + 0.62 * rr_px)
    systole = first + int(np.argmin(walls.cavity_cm[first : last + 1]))
    inside = slice(max(round(start), 0), round(end) + 1)
    return Beat(
        start_px=start,
        end_px=end,
        diastole_px=diastole,
        systole_px=systole,
        diastole_cm=walls.at(diastole),
        systole_cm=walls.at(systole),
        top_cm=float(walls.septum_outer[inside].min()),
        bottom_cm=float(walls.posterior_outer[inside].max()),
    )
