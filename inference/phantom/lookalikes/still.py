"""Strips that do not show the heart: abdomen, vessels, lung, air, noise."""

import numpy as np

from inference.phantom.lookalikes.apical import streaks
from inference.phantom.lookalikes.pieces import breath, skin
from inference.phantom.lookalikes.ranges import vary
from inference.phantom.motion import Curve, contraction, rhythm
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Scene, Timeline


def liver_layers(draw: Draw, top_cm: float, end_cm: float, drift: Curve) -> list[Layer]:
    """Liver texture between two depths: streaky bands that breathing shifts, deeper ones more."""
    streaky = draw.chance(0.7)
    depths = sorted([top_cm, *(draw.between(top_cm, end_cm) for _ in range(int(draw.between(1, 6))))])
    return [
        Layer(
            top_cm=depth + drift * depth / end_cm,
            level_dB=vary(draw, "liver_dB"),
            edge_dB=draw.between(0, 14) if draw.chance(0.5) else 0.0,
            edge_cm=draw.between(0.05, 0.2),
            still=streaky,
        )
        for depth in depths
    ]


def vena_cava(draw: Draw, time: Timeline) -> Scene:
    """Inferior vena cava: two bright walls under the liver that close with breathing, not with the beat."""
    t = time.t_s
    drift, beats = breath(draw, t), rhythm(draw, float(t.max()))
    collapse = vary(draw, "collapse") * np.clip(0.5 + drift / (2 * np.ptp(drift) + 1e-6), 0, 1)
    pulse = draw.between(0.0, 0.15) * contraction(draw).curve(beats, t)
    layers, near = skin(draw, len(t), 1.0)
    at = near + vary(draw, "liver_cm")
    top = at + drift
    bottom = top + vary(draw, "vena_cava_cm") * (1 - collapse) + 0.1 + pulse
    upper, lower = draw.between(0.1, 0.7), draw.between(0.15, 0.8)
    layers += liver_layers(draw, near, at, drift)
    layers += [
        Layer(top_cm=top - upper, level_dB=vary(draw, "bright_wall_dB") - draw.between(0, 12), still=True),
        Layer(top_cm=top, level_dB=draw("cavity_dB"), edge_dB=draw("edge_dB")),
        Layer(top_cm=bottom, level_dB=vary(draw, "bright_wall_dB"), edge_dB=draw.between(0, 8), still=True),
        Layer(top_cm=bottom + lower, level_dB=draw.between(-64, -25)),
    ]
    deep = [bottom + draw.between(0.5, 4.0) for _ in range(int(draw.between(0, 4)))]
    lines = streaks(draw, [near + (at - near) * draw.between(0, 1) + drift for _ in range(3)] + deep)
    return Scene(kind="IVC", depth_cm=float(bottom.max()) + draw.between(2, 9), layers=layers, lines=lines)


def liver(draw: Draw, time: Timeline) -> Scene:
    """Solid tissue and nothing that beats; now and then a dark vessel."""
    t = time.t_s
    drift = breath(draw, t)
    layers, near = skin(draw, len(t), 1.0)
    depth = draw.between(6, 20)
    middle = near + draw.between(0.2, 0.7) * (depth - near)
    layers += liver_layers(draw, near, middle, drift)
    if draw.chance(0.5):
        layers.append(Layer(top_cm=middle + drift, level_dB=draw("cavity_dB"), edge_dB=draw("edge_dB")))
        middle += draw.between(0.1, 0.6) * (depth - middle)
    layers += liver_layers(draw, middle, depth, drift)
    return Scene(kind="liver", depth_cm=depth, layers=layers)


def vessel(draw: Draw, time: Timeline) -> Scene:
    """Carotid or abdominal aorta: two thin walls; the lumen widens a little in systole."""
    t = time.t_s
    beats, drift = rhythm(draw, float(t.max())), 0.3 * breath(draw, t)
    layers, near = skin(draw, len(t), draw.between(0.4, 1.0))
    at, lumen = near + draw.between(0.4, 6.0), vary(draw, "vessel_cm")
    pulse = lumen * vary(draw, "vessel_pulse") * contraction(draw).curve(beats, t)
    top, bottom = at + drift - 0.4 * pulse, at + lumen + drift + 0.6 * pulse
    thin, still = vary(draw, "vessel_wall_cm"), draw.chance(0.5)
    layers += liver_layers(draw, near, at, drift)
    layers += [
        Layer(top_cm=top - thin, level_dB=vary(draw, "bright_wall_dB"), edge_dB=draw.between(0, 6)),
        Layer(top_cm=top, level_dB=draw("cavity_dB")),
        Layer(top_cm=bottom, level_dB=vary(draw, "bright_wall_dB"), edge_dB=draw.between(0, 6)),
        Layer(top_cm=bottom + thin, level_dB=vary(draw, "liver_dB"), still=still),
        Layer(top_cm=bottom + draw.between(0.5, 4.0), level_dB=draw("far_dB"), still=still),
    ]
    depth = float(bottom.max()) + draw.between(0.6, 6.0)
    return Scene(kind="vessel", depth_cm=depth, layers=layers, lines=streaks(draw, [bottom + 2 * thin]))


def lung(draw: Draw, time: Timeline) -> Scene:
    """Lung: still bands above the pleural line, seashore grain or a barcode below it, its echo repeated."""
    t = time.t_s
    pleura, depth, seashore = vary(draw, "pleura_cm"), draw.between(4, 16), draw.chance(0.5)
    slide = draw.between(0, 0.15) * breath(draw, t)
    layers = [Layer(top_cm=0 * t, level_dB=draw("near_field_dB"), still=True)]
    bands = sorted(draw.between(0.2, pleura) for _ in range(int(draw.between(2, 7))))
    layers += [
        Layer(top_cm=band + slide, level_dB=draw.between(-40, -8), edge_dB=draw("edge_dB"), still=True)
        for band in bands
    ]
    level = draw.between(-40, -12)
    shadow = draw.between(0, 20) * np.clip(6 * np.sin(2 * np.pi * t / draw.between(2, 6)) - 4, 0, 1)
    for number in range(1, int(depth / pleura) + 1):
        fall = draw.between(4, 12) * (number - 1)
        at = number * pleura + slide
        layers.append(Layer(top_cm=at, level_dB=draw.between(-12, 4) - fall, edge_dB=4.0, still=True))
        layers.append(
            Layer(
                top_cm=at + draw.between(0.08, 0.3),
                level_dB=level - 0.4 * fall,
                still=not seashore,
                gain_dB=-shadow,
            )
        )
    return Scene(kind="lung", depth_cm=depth, layers=layers)


def air(draw: Draw, time: Timeline) -> Scene:
    """A probe in air: evenly spaced still reverberations that fade, and nothing behind them."""
    t = time.t_s
    depth, spacing = draw.between(5, 20), vary(draw, "air_band_cm")
    first, fall, thick = draw.between(-16, 4), draw.between(1, 9), draw.between(0.2, 0.7)
    layers = []
    for number in range(min(int(depth * draw.between(0.15, 1.0) / spacing) + 1, 16)):
        level, top = first - fall * number, number * spacing + 0 * t
        layers.append(Layer(top_cm=top, level_dB=level, edge_dB=draw.between(0, 6), still=True))
        layers.append(Layer(top_cm=top + thick * spacing, level_dB=level - draw.between(4, 25), still=True))
    layers.append(
        Layer(top_cm=layers[-1].top_cm + spacing, level_dB=draw.between(-75, -40), still=draw.chance(0.3))
    )
    return Scene(kind="air", depth_cm=depth, layers=layers)


def noise(draw: Draw, time: Timeline) -> Scene:
    """Gain without echo: grain from end to end, in bands where the depth gain is uneven."""
    t = time.t_s
    depth, level = draw.between(4, 24), draw.between(-70, -14)
    tops = sorted(draw.between(0, depth) for _ in range(int(draw.between(0, 5))))
    layers = [Layer(top_cm=0 * t, level_dB=level)]
    layers += [Layer(top_cm=top + 0 * t, level_dB=level + draw.between(-12, 12)) for top in tops]
    return Scene(kind="noise", depth_cm=depth, layers=layers)
