"""Flow shown where tissue is expected: colour M-mode turned gray, and mislabelled spectral Doppler."""

import numpy as np

from inference.phantom.lookalikes.mitral import opening
from inference.phantom.lookalikes.pieces import Knots, beatwise, ejection, skin, wall
from inference.phantom.lookalikes.ranges import MITRAL, vary
from inference.phantom.motion import Curve, Rhythm, contraction, rhythm
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line, Scene, Timeline


def colour(draw: Draw, time: Timeline) -> Scene:
    """Colour M-mode of mitral inflow from the apex: slanting flow fronts in slices of mosaic."""
    t = time.t_s
    beats = rhythm(draw, float(t.max()))
    moved = contraction(draw).curve(beats, t)
    layers, top = skin(draw, len(t), 1.0)
    layers.append(wall(draw, top - 0.3 * moved))
    apex, base = top + draw.between(0.4, 2.0), top + draw.between(6.0, 11.0)
    slices = int(draw.between(8, 24))
    quiet = draw("cavity_dB")
    gains = inflow_dB(draw, beats, t, slices, strong_dB=draw.between(-30, -6) - quiet)
    for k, gain in enumerate(gains):
        share = k / slices
        depth = apex + (base - apex) * share - 0.8 * share * moved
        layers.append(Layer(top_cm=depth, level_dB=quiet, gain_dB=gain))
    layers.append(wall(draw, base - moved, "far_dB"))
    return Scene(kind="colour", depth_cm=base + draw.between(0.5, 6.0), layers=layers)


def inflow_dB(draw: Draw, beats: Rhythm, t_s: Curve, slices: int, *, strong_dB: float) -> list[Curve]:
    """What flow adds to each slice from apex to base: inflow reaches the apex last; aliasing darkens it."""
    delay = vary(draw, "flow_delay_s")
    knots = opening(draw, MITRAL["normal"]).knots
    outflow = draw.between(0, 0.7) * strong_dB * ejection(draw, beats, t_s)
    aliased, alias = draw.between(0.5, 0.95), draw.between(-14, 0)
    gains = []
    for share in (np.arange(slices) + 0.5) / slices:
        flow = beatwise(beats, t_s - delay * (1 - share), knots) * (0.4 + 0.6 * share)
        mosaic = draw.between(-5, 5) * (flow > 0.2)
        gains.append(strong_dB * flow + outflow + mosaic + alias * (flow > aliased))
    return gains


def doppler(draw: Draw, time: Timeline) -> Scene:
    """Spectral Doppler whose region is mislabelled: velocity envelopes about a baseline, beat by beat."""
    t = time.t_s
    beats = rhythm(draw, float(t.max()))
    depth = vary(draw, "doppler_depth_cm")
    baseline = depth * draw.between(0.12, 0.88)
    upward, downward = envelope(draw, beats, t), envelope(draw, beats, t)
    if draw.chance(0.5):  # flow in one direction only
        downward = 0.05 * downward
    if draw.chance(0.5):
        upward, downward = downward, upward
    top = baseline - vary(draw, "doppler_reach") * baseline * upward
    bottom = baseline + vary(draw, "doppler_reach") * (depth - baseline) * downward
    layers = spectrum(draw, top, baseline + 0 * t, bottom)
    level = np.full(len(t), draw.between(-30, 4))
    lines = [Line(y_cm=baseline + 0 * t, level_dB=level, sigma_cm=0.003 * depth)]
    return Scene(kind="doppler", depth_cm=depth, layers=layers, lines=lines)


def spectrum(draw: Draw, top_cm: Curve, baseline_cm: Curve, bottom_cm: Curve) -> list[Layer]:
    """Dark, the envelopes above and below the baseline, dark; hollow where the sample volume is small."""
    dark, level = draw.between(-75, -45), draw.between(-36, -8)
    stripes = draw.between(0, 5) * draw.rng.standard_normal(len(top_cm))
    rim = draw.between(0.02, 0.3) * (bottom_cm - top_cm)
    core = level - (draw.between(8, 40) if draw.chance(0.5) else draw.between(0, 4))
    tops = [
        (0 * top_cm, dark),
        (top_cm, level),
        (top_cm + np.minimum(rim, baseline_cm - top_cm), core),
        (np.maximum(bottom_cm - rim, baseline_cm), level),
        (bottom_cm, dark),
    ]
    return [Layer(top_cm=top, level_dB=dB, gain_dB=None if dB == dark else stripes) for top, dB in tops]


def envelope(draw: Draw, beats: Rhythm, t_s: Curve) -> Curve:
    """Velocity from 0 to 1: systolic jet, inflow with E and A wave, or tissue with S', E' and A'."""
    shape = str(draw.rng.choice(["jet", "inflow", "tissue"]))
    if shape == "inflow":
        return beatwise(beats, t_s, opening(draw, MITRAL["normal"]).knots)
    peak, width, late = draw.between(0.08, 0.26), draw.between(0.2, 0.5), draw.between(0.3, 1.0)

    def jet(rr_s: float) -> Knots:
        """A rounded systolic hump."""
        stop = min(width, 0.6 * rr_s)
        middle = min(peak, 0.6 * stop)
        return [
            (0.02, 0.0),
            (0.5 * middle + 0.01, 0.7),
            (middle, 1.0),
            (0.5 * (middle + stop), 0.7),
            (stop, 0.0),
        ]

    def tissue(rr_s: float) -> Knots:
        """Narrow early and late diastolic peaks."""
        return [
            (0.45 * rr_s, 0.0), (0.52 * rr_s, 1.0), (0.6 * rr_s, 0.0),
            (0.82 * rr_s, 0.0), (0.88 * rr_s, late), (0.95 * rr_s, 0.0),
        ]  # fmt: skip

    return beatwise(beats, t_s, jet if shape == "jet" else tissue)
