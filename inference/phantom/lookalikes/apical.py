"""Cursors from the apex: whole field rides with the heart's base towards the probe in systole."""

import numpy as np

from inference.phantom.lookalikes.pieces import blood, body_size, far_wall, skin, uneven, wall
from inference.phantom.lookalikes.ranges import vary
from inference.phantom.motion import Curve, contraction, rhythm, wander
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line, Scene, Timeline
from inference.phantom.ventricle import depth_past


def tapse(draw: Draw, time: Timeline) -> Scene:
    """Tricuspid annulus: apical muscle bands, blood, the hazy ring, the right atrium."""
    return annulus(draw, time, kind="TAPSE", muscle_share=draw.between(0.2, 0.65))


def mapse(draw: Draw, time: Timeline) -> Scene:
    """Mitral annulus: the cursor runs down the lateral or septal wall, muscle nearly all the way."""
    return annulus(draw, time, kind="MAPSE", muscle_share=draw.between(0.6, 1.0))


def annulus(draw: Draw, time: Timeline, *, kind: str, muscle_share: float) -> Scene:
    """Bands from the apex to the ring; muscle down to `muscle_share` of the way, then blood."""
    t, size = time.t_s, body_size(draw)
    beats = rhythm(draw, float(t.max()))
    moved = contraction(draw).curve(beats, t)
    drift = wander(draw, t, size * draw("respiration_cm"), draw.between(2.5, 6.0))
    ring_at, excursion = size * vary(draw, "annulus_at_cm"), size * vary(draw, "annulus_motion_cm")
    share = vary(draw, "apex_motion_share")
    layers, top = skin(draw, len(t), size)

    def riding(rest_cm: float) -> Curve:
        """A structure at this depth: the base moves most, the apex least, nothing moves against them."""
        ride = excursion * (share + (1 - share) * rest_cm / ring_at)
        return rest_cm + drift - ride * moved

    muscle_end = top + muscle_share * (ring_at - top)
    layers += muscle(draw, [riding(rest) for rest in band_depths(draw, top, muscle_end)], moved)
    layers.append(blood(draw, riding(muscle_end), moved))
    band = size * vary(draw, "annulus_cm")
    layers += ring(draw, riding(ring_at), band, moved)
    far = ring_at + band + size * vary(draw, "atrial_far_cm") - draw.between(0, 0.5) * excursion * moved
    layers += far_wall(draw, far, size)
    deepest = float(np.max(far)) if draw.chance(0.7) else ring_at + band
    depth = depth_past(draw, deepest, size)
    lines = streaks(draw, [riding(draw.between(top, ring_at + band)) for _ in range(int(draw.between(0, 7)))])
    return Scene(kind=kind, depth_cm=depth, layers=layers, lines=lines)


def band_depths(draw: Draw, top_cm: float, end_cm: float) -> list[float]:
    """Resting depths in cm of the borders between muscle bands."""
    inner = [draw.between(top_cm, end_cm) for _ in range(int(vary(draw, "apical_bands")))]
    return sorted([top_cm, *inner])


def muscle(draw: Draw, tops: list[Curve], moved: Curve) -> list[Layer]:
    """Muscle bands of differing brightness, streaky or grainy, some lighting up once a beat."""
    streaky = draw.chance(0.5)
    return [
        Layer(
            top_cm=top,
            level_dB=vary(draw, "apical_band_dB"),
            edge_dB=draw("edge_dB") if draw.chance(0.4) else 0.0,
            edge_cm=draw.between(0.06, 0.3),
            still=streaky,
            gain_dB=vary(draw, "band_swing_dB") * moved if draw.chance(0.6) else None,
        )
        for top in tops
    ]


def ring(draw: Draw, top_cm: Curve, thick_cm: float, moved: Curve) -> list[Layer]:
    """The annulus and the atrium behind it: a bright edge or a haze that comes and goes with the beat."""
    gain = draw.between(-10, 6) * moved if draw.chance(0.5) else None
    body = Layer(
        top_cm=top_cm,
        level_dB=draw("posterior_wall_dB"),
        edge_dB=draw("edge_dB") if draw.chance(0.5) else 0.0,
        edge_cm=draw.between(0.08, 0.4),
        gain_dB=gain,
    )
    return [body, blood(draw, top_cm + thick_cm, moved)]


def streaks(draw: Draw, curves: list[Curve]) -> list[Line]:
    """Thin bright echoes riding with the field, each seen over part of every beat or throughout."""
    lines = []
    for y in curves:
        level = uneven(draw, len(y), draw.between(-34, -2))
        if draw.chance(0.4):
            level = np.where(np.gradient(y) * draw.rng.choice([-1, 1]) > 0, level, np.nan)
        lines.append(Line(y_cm=y, level_dB=level, sigma_cm=draw.between(0.03, 0.12)))
    return lines


def four_chamber(draw: Draw, time: Timeline) -> Scene:
    """Apical four-chamber cut: a septum or lateral wall crossed obliquely, all of it moving one way."""
    t, size = time.t_s, body_size(draw)
    beats = rhythm(draw, float(t.max()))
    moved = contraction(draw).curve(beats, t)
    ride = size * (draw.between(0.6, 1.9) * moved + wander(draw, t, draw("respiration_cm"), 4.0))
    layers, top = skin(draw, len(t), size)
    layers.append(wall(draw, top - 0.3 * ride, still=draw.chance(0.4)))
    at = top + size * draw.between(0.5, 2.0)
    for _ in range(int(draw.between(1, 4))):
        layers.append(blood(draw, at - ride, moved))
        at += size * draw.between(1.5, 5.0)
        layers.append(wall(draw, at - ride * draw.between(0.9, 1.1)))
        at += size * draw.between(0.5, 2.5)
    layers += [blood(draw, at - ride, moved), *far_wall(draw, at + size * draw.between(1, 4) - ride, size)]
    lines = streaks(draw, [draw.between(top, at) - ride for _ in range(int(draw.between(0, 5)))])
    return Scene(kind="apical", depth_cm=depth_past(draw, at, size), layers=layers, lines=lines)
