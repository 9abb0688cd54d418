"""What is not a left ventricle at chordal level: strips on which the node must find nothing."""

from collections.abc import Callable

import numpy as np

from inference.phantom.motion import Curve, contraction, rhythm, wander
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line, Scene, Timeline
from inference.phantom.ventricle import Walls, around, moving_walls


def mitral(draw: Draw, time: Timeline) -> Scene:
    """Mitral level: septum and posterior wall are there, but the leaflets draw their M between them."""
    size = draw.between(0.7, 1.0)
    walls, above = moving_walls(draw, time, size)
    depth = float(walls.posterior_outer.max()) + draw("depth_margin_cm")
    openness = leaflet_opening(draw, walls, time)
    closed = walls.septum_inner + walls.cavity_cm * draw.between(0.5, 0.75)
    closed = closed - draw.between(0.0, 0.15) * walls.cavity_cm * walls.contraction
    anterior = closed - openness * (closed - walls.septum_inner) * draw.between(0.6, 0.98)
    posterior = closed + openness * (walls.posterior_inner - closed) * draw.between(0.3, 0.8)
    level = np.full(len(closed), draw("valve_dB"))
    faint = np.where(draw.rng.random() < 0.3, np.nan, level - draw.between(0, 10))
    lines = [
        Line(y_cm=anterior, level_dB=level, sigma_cm=draw.between(0.05, 0.16)),
        Line(y_cm=posterior, level_dB=faint, sigma_cm=draw.between(0.05, 0.16)),
    ]
    return Scene(kind="mitral", depth_cm=depth, layers=around(draw, walls, above, size), lines=lines)


def leaflet_opening(draw: Draw, walls: Walls, time: Timeline) -> Curve:
    """0 closed … 1 fully open: E wave, partial closing, A wave; closed in systole."""
    beats = walls.beats
    stenotic = draw.chance(0.2)
    mid = draw.between(0.7, 0.95) if stenotic else draw.between(0.15, 0.6)
    a_wave = mid if stenotic else draw.between(0.4, 0.9)
    open_at = draw.between(0.38, 0.5)
    knots: list[tuple[float, float]] = []
    for r, rr in zip(beats.r_s[:-1], beats.rr_s, strict=True):
        shape = [
            (0.03, 0),
            (open_at, 0),
            (open_at + 0.07, 1),
            (open_at + 0.2, mid),
            (0.82, mid),
            (0.9, a_wave),
        ]
        knots += [(r + phase * rr, value) for phase, value in shape]
    times, values = np.array(knots).T
    return np.asarray(np.interp(time.t_s, times, values))


def aorta(draw: Draw, time: Timeline) -> Scene:
    """Aortic root and left atrium: two parallel walls that move together, box-like valve, still far wall."""
    t = time.t_s
    beats = rhythm(draw, float(t.max()))
    moved = contraction(draw).curve(beats, t)
    forward = draw.between(0.3, 1.3) * moved + wander(draw, t, draw("respiration_cm"), 4.0)
    near, rvot = draw("near_field_cm"), draw.between(0.6, 2.4)
    lumen, atrium, wall = draw.between(1.8, 4.2), draw.between(2.2, 5.5), draw.between(0.2, 0.6)
    front = near + draw("chest_wall_cm") + draw("RV_wall_cm") + rvot + draw.between(0.6, 1.3) - forward
    back = front + wall + lumen - draw.between(0, 0.15) * forward
    end = np.full(len(t), float(back.max()) + wall + atrium) - draw.between(-0.1, 0.35) * moved
    cavity = draw("cavity_dB")
    layers = [
        Layer(top_cm=0 * t, level_dB=draw("near_field_dB"), still=True),
        Layer(top_cm=0 * t + near, level_dB=draw("chest_wall_dB"), still=draw.chance(0.5)),
        Layer(top_cm=front - rvot - draw.between(0.0, 0.4) * moved, level_dB=cavity + draw.between(0, 20)),
        Layer(top_cm=front, level_dB=draw("septum_dB"), edge_dB=draw("edge_dB")),
        Layer(top_cm=front + wall, level_dB=cavity, edge_dB=draw("edge_dB")),
        Layer(top_cm=back, level_dB=draw("septum_dB"), edge_dB=draw("edge_dB")),
        Layer(top_cm=back + wall * draw.between(0.6, 1.2), level_dB=cavity, edge_dB=draw("edge_dB")),
        Layer(top_cm=end, level_dB=draw("pericardium_dB"), edge_dB=draw.between(0, 6)),
        Layer(top_cm=end + draw("pericardium_cm"), level_dB=draw("far_dB")),
    ]
    lines = cusps(draw, beats_open=moved > draw.between(0.05, 0.3), front=front + wall, back=back)
    return Scene(
        kind="aorta", depth_cm=float(end.max()) + draw("depth_margin_cm"), layers=layers, lines=lines
    )


def cusps(draw: Draw, *, beats_open: np.ndarray, front: Curve, back: Curve) -> list[Line]:
    """Aortic cusps: a line mid-lumen when closed, a box when open; sometimes unseen."""
    if draw.chance(0.3):
        return []
    middle, width = (front + back) / 2, (back - front) * draw.between(0.25, 0.45)
    level = np.full(len(front), draw("valve_dB") - draw.between(0, 10))
    return [
        Line(y_cm=middle + side * width * beats_open, level_dB=level, sigma_cm=draw.between(0.04, 0.1))
        for side in (-1, 1)
    ]


def annulus(draw: Draw, time: Timeline) -> Scene:
    """TAPSE or MAPSE: apical cursor, bands that all ride with the annulus towards the probe in systole."""
    t = time.t_s
    beats = rhythm(draw, float(t.max()))
    moved = contraction(draw).curve(beats, t)
    excursion = draw.between(0.8, 2.6)
    at = draw.between(6.0, 12.0)
    ring = at - excursion * moved
    band, upper = draw.between(0.4, 2.2), draw.between(2.5, 5.0)
    cavity = draw("cavity_dB") + draw.between(0, 12)
    layers = [
        Layer(top_cm=0 * t, level_dB=draw("near_field_dB"), still=True),
        Layer(top_cm=0 * t + draw("near_field_cm"), level_dB=draw("chest_wall_dB"), still=draw.chance(0.4)),
        Layer(
            top_cm=upper - draw.between(0.1, 0.5) * excursion * moved,
            level_dB=draw("septum_dB"),
            edge_dB=draw("edge_dB"),
        ),
        Layer(
            top_cm=upper + draw.between(0.6, 2.4) - draw.between(0.3, 0.8) * excursion * moved,
            level_dB=cavity,
            edge_dB=draw("edge_dB"),
        ),
        Layer(
            top_cm=ring,
            level_dB=draw("posterior_wall_dB"),
            edge_dB=draw("edge_dB"),
            edge_cm=draw.between(0.08, 0.4),
        ),
        Layer(top_cm=ring + band, level_dB=cavity, edge_dB=draw("edge_dB")),
        Layer(top_cm=ring + band + draw.between(1.0, 4.0) + 0.5 * excursion * moved, level_dB=draw("far_dB")),
    ]
    depth = at + band + draw.between(2.0, 7.0)
    return Scene(kind="TAPSE", depth_cm=depth, layers=layers)


def vena_cava(draw: Draw, time: Timeline) -> Scene:
    """Inferior vena cava: liver, then two thin still walls that close with respiration, not with the beat."""
    t = time.t_s
    breath = np.clip(0.5 + wander(draw, t, 0.5, draw.between(2.0, 5.0)), 0.0, 1.0)
    beats = rhythm(draw, float(t.max()))
    pulse = draw.between(0.0, 0.15) * contraction(draw).curve(beats, t)
    near, at = draw("near_field_cm"), draw.between(4.5, 10.0)
    top = at + wander(draw, t, draw.between(0.1, 0.6), 4.0)
    lumen = draw.between(0.5, 2.4) * (1 - draw.between(0.1, 0.9) * breath) + pulse
    layers = [
        Layer(top_cm=0 * t, level_dB=draw("near_field_dB"), still=True),
        Layer(top_cm=0 * t + near, level_dB=draw.between(-34, -16), edge_dB=draw("edge_dB")),
        Layer(top_cm=top - draw.between(0.1, 0.4), level_dB=draw.between(-26, -8)),
        Layer(top_cm=top, level_dB=draw("cavity_dB"), edge_dB=draw("edge_dB")),
        Layer(top_cm=top + lumen, level_dB=draw.between(-14, 4), edge_dB=draw("edge_dB")),
        Layer(top_cm=top + lumen + draw.between(0.2, 0.7), level_dB=draw.between(-60, -25)),
    ]
    return Scene(kind="IVC", depth_cm=at + draw.between(3, 9), layers=layers)


def lung(draw: Draw, time: Timeline) -> Scene:
    """Lung: still bands above the pleural line, seashore grain or a barcode below it."""
    t = time.t_s
    pleura = draw.between(1.0, 3.5)
    depth = draw.between(4.0, 14.0)
    bands = sorted(draw.between(0.2, pleura) for _ in range(4))
    layers = [Layer(top_cm=0 * t, level_dB=draw("near_field_dB"), still=True)]
    layers += [
        Layer(top_cm=0 * t + b, level_dB=draw.between(-40, -8), edge_dB=draw("edge_dB"), still=True)
        for b in bands
    ]
    layers += [
        Layer(top_cm=0 * t + pleura, level_dB=draw.between(-8, 4), edge_dB=6.0, still=True),
        Layer(top_cm=0 * t + pleura + 0.2, level_dB=draw.between(-36, -14), still=draw.chance(0.5)),
    ]
    return Scene(kind="lung", depth_cm=depth, layers=layers)


def noise(draw: Draw, time: Timeline) -> Scene:
    """Gain without echo, or a frozen probe in air: bright reverberation that fades, then noise."""
    t = time.t_s
    depth = draw.between(6.0, 20.0)
    steps = np.linspace(0, depth * draw.between(0.1, 0.6), 6)
    first, fall = draw.between(-25, 0), draw.between(2, 12)
    layers = [
        Layer(top_cm=0 * t + step, level_dB=first - fall * k, edge_dB=draw.between(0, 10), still=True)
        for k, step in enumerate(steps)
    ]
    layers.append(Layer(top_cm=0 * t + steps[-1] + 0.5, level_dB=draw.between(-70, -25)))
    return Scene(kind="noise", depth_cm=depth, layers=layers)


def doppler(draw: Draw, time: Timeline) -> Scene:
    """Spectral Doppler whose region is mislabelled: an envelope about a baseline, beat by beat."""
    t = time.t_s
    beats = rhythm(draw, float(t.max()))
    envelope = np.abs(contraction(draw).curve(beats, t)) ** draw.between(0.5, 1.5)
    depth = draw.between(6.0, 20.0)
    baseline = depth * draw.between(0.25, 0.75)
    reach = draw.between(0.3, 0.9) * min(baseline, depth - baseline)
    dark, level = draw("cavity_dB"), draw.between(-34, -10)
    above, flat = draw.chance(0.5), 0 * t + 0.05
    layers = [
        Layer(top_cm=0 * t, level_dB=dark),
        Layer(
            top_cm=baseline - (reach * envelope if above else flat),
            level_dB=level,
            edge_dB=draw.between(0, 10),
        ),
        Layer(top_cm=baseline + (flat if above else reach * envelope), level_dB=dark),
    ]
    return Scene(kind="doppler", depth_cm=depth, layers=layers)


LOOKALIKES: dict[str, Callable[[Draw, Timeline], Scene]] = {
    "mitral": mitral,
    "aorta": aorta,
    "TAPSE": annulus,
    "IVC": vena_cava,
    "lung": lung,
    "noise": noise,
    "doppler": doppler,
}
WEIGHTS = {
    "mitral": 0.28,
    "aorta": 0.26,
    "TAPSE": 0.22,
    "IVC": 0.09,
    "lung": 0.05,
    "noise": 0.05,
    "doppler": 0.05,
}
"""How often each kind is drawn when the kind is free: hard ones most."""
