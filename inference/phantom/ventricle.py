"""The left ventricle in M-mode at chordal level: its walls, its beats, and the exact truth."""

import numpy as np

from inference.phantom.cavity import chordae
from inference.phantom.motion import contraction, rhythm, wander
from inference.phantom.neighbours import around
from inference.phantom.parameters import Draw
from inference.phantom.scene import Beat, Scene, Timeline
from inference.phantom.walls import Walls

DEEPEST_CM = 24.0
NARROWS = 0.97
"""An ectopic beat whose cavity keeps more than this share of its diameter gets no label."""
CYCLE_LEAD = 0.2
"""A cycle box starts this share of the beat before end diastole."""
CHILDREN, PARADOX, AKINESIA = 0.22, 0.07, 0.05
"""Shares of hearts that are a child's, whose septum moves the wrong way, or one of whose walls is still."""


def left_ventricle(draw: Draw, time: Timeline) -> Scene:
    """A left ventricle with everything around it and its measurable beats."""
    size = draw("child_scale") if draw.chance(CHILDREN) else 1.0
    walls, above = moving_walls(draw, time, size)
    depth_cm = depth_past(draw, float(walls.posterior_outer.max()), size)
    layers, lines = around(draw, walls, above, size)
    return Scene(
        kind="LV",
        depth_cm=depth_cm,
        layers=layers,
        lines=[*chordae(draw, walls, above, size), *lines],
        beats=measurable_beats(walls, time),
        walls_cm=walls.stacked,
    )


def depth_past(draw: Draw, deepest_cm: float, size: float) -> float:
    """Depth in cm of a strip that shows `deepest_cm`, at least the smallest depth a machine offers."""
    depth_cm = max(deepest_cm + size * draw("depth_margin_cm"), size * draw("least_depth_cm"))
    return max(min(depth_cm, DEEPEST_CM), deepest_cm + 0.3)


def moving_walls(draw: Draw, time: Timeline, size: float) -> tuple[Walls, dict[str, float]]:
    """The four borders over time, and the resting depths (cm) of what lies above the septum."""
    t = time.t_s
    beats = rhythm(draw, float(t.max()))
    septal, posterior = contraction(draw).curve(beats, t), contraction(draw).curve(beats, t)
    above = depths_above_septum(draw, size)
    LVIDd, IVSd, LVPWd = size * draw("LVIDd_cm"), size * draw("IVSd_cm"), size * draw("LVPWd_cm")
    IVSd, LVPWd = min(IVSd, 0.6 * LVIDd), min(LVPWd, 0.5 * LVIDd)
    shortening, share = LVIDd * draw("FS"), septal_share(draw)
    drift = wander(draw, t, size * draw("respiration_cm"), draw.between(2.5, 6.0))
    inner = above["septum"] + IVSd + share * shortening * septal + drift
    facing = above["septum"] + IVSd + LVIDd - (1 - share) * shortening * posterior + drift
    facing = np.maximum(facing, inner + 0.15 * LVIDd)
    septal_thickening, posterior_thickening = thickening(draw, share)
    septal_thickening = inwards(draw, septal_thickening, IVSd, abs(share) * shortening, size)
    posterior_thickening = inwards(draw, posterior_thickening, LVPWd, (1 - share) * shortening, size)
    walls = Walls(
        septum_outer=inner - IVSd * (1 + septal_thickening * septal),
        septum_inner=inner,
        posterior_inner=facing,
        posterior_outer=facing + LVPWd * (1 + posterior_thickening * posterior),
        beats=beats,
        contraction=posterior,
    )
    return walls, above


def septal_share(draw: Draw) -> float:
    """How much of the shortening is the septum's; negative when it moves with the posterior wall."""
    return draw("paradox_share") if draw.chance(PARADOX) else draw("septal_share")


def thickening(draw: Draw, share: float) -> tuple[float, float]:
    """Systolic thickening of septum and posterior wall; a dyskinetic wall hardly thickens."""
    septal, posterior = draw("IVS_thickening"), draw("LVPW_thickening")
    if share < 0 or draw.chance(AKINESIA):
        septal *= draw.between(0.0, 0.4)
    return septal, posterior


def inwards(draw: Draw, thickening: float, wall_cm: float, excursion_cm: float, size: float) -> float:
    """Thickening of a wall whose inner border moves `excursion_cm`: muscle swells into the cavity.

    Its outer border follows, or gives way by a millimetre or two.
    """
    return min(thickening, (excursion_cm + size * draw("outward_cm")) / wall_cm)


def depths_above_septum(draw: Draw, size: float) -> dict[str, float]:
    """Resting depths in cm of near field, chest wall, right ventricle and septum."""
    near = size * draw("near_field_cm")
    chest = near + size * draw("chest_wall_cm")
    rv = chest + size * draw("RV_wall_cm")
    return {"chest": near, "rv_wall": chest, "rv": rv, "septum": rv + size * draw("RV_cm")}


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
    if walls.cavity_cm[systole] > NARROWS * walls.cavity_cm[diastole]:
        return None
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
