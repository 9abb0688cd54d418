"""Atrioventricular valves: the leaflets draw their M across a cavity."""

from dataclasses import dataclass, replace

import numpy as np

from inference.phantom.cavity import chordae
from inference.phantom.lookalikes.pieces import (
    Knots,
    beatwise,
    blood,
    body_size,
    far_wall,
    nearby,
    skin,
    strokes,
    uneven,
    wall,
)
from inference.phantom.lookalikes.ranges import MITRAL, MitralForm, vary
from inference.phantom.motion import Curve, contraction, rhythm, wander
from inference.phantom.neighbours import around
from inference.phantom.parameters import Draw
from inference.phantom.scene import Line, Scene, Timeline
from inference.phantom.ventricle import depth_past, moving_walls
from inference.phantom.walls import Walls


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a leaflet opens over one beat; openings as shares of the widest."""

    opens: float
    rise_s: float
    mid: float
    a_wave: float
    last: float
    closes_s: float
    fall_s: float

    def knots(self, rr_s: float) -> Knots:
        """Closed in systole, sharp opening to the E wave, partial closing, A wave, sharp closing at R."""
        opens = min(self.opens * np.sqrt(rr_s), 0.6 * rr_s)
        filling = rr_s + self.closes_s - opens
        rise = min(self.rise_s, 0.2 * filling)
        return [
            (self.closes_s, self.last),
            (self.closes_s + self.fall_s, 0.0),
            (opens, 0.0),
            (opens + rise, 1.0),
            (opens + max(0.38 * filling, 1.3 * rise), self.mid),
            (opens + 0.66 * filling, self.mid),
            (opens + 0.82 * filling, self.a_wave),
        ]


def opening(draw: Draw, form: MitralForm) -> Opening:
    """One valve's timing."""
    mid = draw.between(*form.mid)
    a_wave = mid if draw.chance(0.25) else draw.between(*form.a_wave)  # no atrial kick in fibrillation
    return Opening(
        opens=vary(draw, "leaflet_opens"),
        rise_s=vary(draw, "leaflet_rise_s"),
        mid=mid,
        a_wave=a_wave,
        last=max(0.75 * mid, vary(draw, "leaflet_last")),
        closes_s=vary(draw, "leaflet_closes_s"),
        fall_s=vary(draw, "leaflet_fall_s"),
    )


@dataclass(frozen=True, kw_only=True)
class Leaflets:
    """Depth in cm of both leaflets at each column, and how far they are open (0…1)."""

    anterior_cm: Curve
    posterior_cm: Curve
    opened: Curve


def mitral(draw: Draw, time: Timeline) -> Scene:
    """Mitral level: septum and posterior wall are the ventricle's, but the leaflets cross its cavity."""
    size = body_size(draw)
    walls, above = moving_walls(draw, time, size)
    if draw.chance(0.45):
        walls = near_the_annulus(walls, moves=vary(draw, "basal_motion"))
    form = MITRAL[str(draw.rng.choice(list(MITRAL), p=[form.chance for form in MITRAL.values()]))]
    valve = leaflets(draw, form, walls, time.t_s)
    lines = leaflet_lines(draw, valve, size * draw.between(*form.sigma_cm))
    rest = chordae if draw.chance(0.5) else nearby
    depth_cm = depth_past(draw, float(walls.posterior_outer.max()), size)
    layers, beside = around(draw, walls, above, size)
    return Scene(
        kind="mitral",
        depth_cm=depth_cm,
        layers=layers,
        lines=[*rest(draw, walls, above, size), *beside, *lines],
    )


def near_the_annulus(walls: Walls, *, moves: float) -> Walls:
    """The same heart cut closer to its base: the posterior wall moves and thickens by a share only."""
    inner, thick = walls.posterior_inner, walls.posterior_outer - walls.posterior_inner
    inner = inner.max() - moves * (inner.max() - inner)
    outer = inner + thick.min() + moves * (thick - thick.min())
    return replace(walls, posterior_inner=inner, posterior_outer=outer)


def leaflets(draw: Draw, form: MitralForm, walls: Walls, t_s: Curve) -> Leaflets:
    """Both leaflets between septum (share 0 of the cavity) and posterior wall (share 1)."""
    opened = beatwise(walls.beats, t_s, opening(draw, form).knots, rounded=draw.chance(0.6))
    excursion = draw.between(*form.excursion)
    closed = draw.between(max(0.45, excursion + 0.02), 0.86)
    bulge = draw.between(*form.systolic) * systolic_bulge(walls, t_s)
    bulge = np.where(bulge > 0, closed * bulge, (1 - closed) * bulge)
    posterior = draw.between(*form.posterior)
    reach = min(posterior * excursion, 1 - closed)
    cavity, septum = walls.cavity_cm, walls.septum_inner
    return Leaflets(
        anterior_cm=septum + cavity * (closed - bulge - excursion * opened),
        posterior_cm=septum + cavity * (closed - 0.7 * np.minimum(bulge, 0) + reach * opened),
        opened=opened,
    )


def systolic_bulge(walls: Walls, t_s: Curve) -> Curve:
    """0 outside systole, 1 in its middle: the shape of systolic anterior motion."""
    return beatwise(
        walls.beats, t_s, lambda rr: [(0.12 * rr, 0), (0.22 * rr, 1), (0.3 * rr, 0.9), (0.38 * rr, 0)]
    )


def leaflet_lines(draw: Draw, valve: Leaflets, sigma_cm: float) -> list[Line]:
    """What is seen of the leaflets: both, or the anterior alone; whole, or without its fast strokes."""
    columns = len(valve.opened)
    level = uneven(draw, columns, vary(draw, "leaflet_dB"))
    fainter = vary(draw, "stroke_fainter_dB")
    anterior = Line(y_cm=valve.anterior_cm, level_dB=partly(draw, level, valve.opened), sigma_cm=sigma_cm)
    lines = [anterior] if draw.chance(0.15) else strokes(anterior, fainter)
    if draw.chance(0.75):
        dimmer = level - vary(draw, "posterior_leaflet_fainter_dB")
        lines += strokes(Line(y_cm=valve.posterior_cm, level_dB=dimmer, sigma_cm=sigma_cm), fainter)
    return lines + echoes_below(draw, valve, level, sigma_cm)


def echoes_below(draw: Draw, valve: Leaflets, level_dB: Curve, sigma_cm: float) -> list[Line]:
    """Fainter copies below the closed leaflets (folds, tips of chordae), some in systole only."""
    lines = []
    for _ in range(int(draw.between(0, 4))):
        shift = vary(draw, "echo_below_leaflet_cm") * sigma_cm / 0.08
        y = valve.posterior_cm + shift * (1 + draw.between(-0.5, 1.0) * valve.opened)
        level = level_dB - draw.between(1, 16)
        if draw.chance(0.5):
            level = np.where(valve.opened > draw.between(0.02, 0.4), np.nan, level)
        lines.append(Line(y_cm=y, level_dB=level, sigma_cm=sigma_cm * draw.between(0.6, 1.0)))
    return lines


def partly(draw: Draw, level_dB: Curve, opened: Curve) -> Curve:
    """The anterior leaflet's level where its tip is in the beam: sometimes only while it is open."""
    if draw.chance(0.12):
        return np.where(opened > draw.between(0.02, 0.2), level_dB, np.nan)
    return level_dB - draw.between(0, 5) * opened


def tricuspid(draw: Draw, time: Timeline) -> Scene:
    """Tricuspid valve: the M lies in the right ventricle, close to the probe; no left ventricle below."""
    t, size = time.t_s, body_size(draw)
    beats = rhythm(draw, float(t.max()))
    moved = contraction(draw).curve(beats, t)
    layers, top = skin(draw, len(t), size)
    ride = size * draw.between(0.1, 0.9) * moved + wander(draw, t, draw("respiration_cm"), 4.0)
    roof = top + draw.between(0.0, 0.5) * ride
    floor = top + size * (draw("RV_wall_cm") + draw.between(2.5, 6.0)) - ride
    far = floor + size * draw.between(0.4, 1.2)
    layers += [wall(draw, roof), blood(draw, roof + size * draw("RV_wall_cm"), moved)]
    layers += [wall(draw, floor), blood(draw, far, moved)]
    behind = float(far.max()) + size * draw.between(1.5, 5.0) - draw.between(0.0, 0.3) * moved
    layers += far_wall(draw, behind, size)
    form = MITRAL["normal"]
    opened = beatwise(beats, t, opening(draw, form).knots, rounded=draw.chance(0.6))
    closed = roof + draw.between(0.6, 0.85) * (floor - roof)
    anterior = closed - draw.between(*form.excursion) * (closed - roof) * opened
    valve = Leaflets(anterior_cm=anterior, posterior_cm=closed + 0.1 * opened, opened=opened)
    lines = leaflet_lines(draw, valve, size * draw.between(*form.sigma_cm))
    depth = depth_past(draw, float(behind.max()), size)
    return Scene(kind="tricuspid", depth_cm=depth, layers=layers, lines=lines)
