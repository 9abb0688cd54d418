"""Parts that several look-alikes are built of: skin, valve timing, free lines, blood that lights up."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

from inference.phantom.cavity import ghosts, trabeculae
from inference.phantom.lookalikes.ranges import vary
from inference.phantom.motion import Curve, Rhythm, wander
from inference.phantom.parameters import Draw
from inference.phantom.scene import Layer, Line
from inference.phantom.texture import smooth_noise
from inference.phantom.walls import Walls

Knots = Sequence[tuple[float, float]]


def body_size(draw: Draw) -> float:
    """Scale of the body, drawn as for the left ventricle: children are the same heart scaled down."""
    return draw("child_scale") if draw.chance(0.2) else 1.0


def beatwise(beats: Rhythm, t_s: Curve, shape: Callable[[float], Knots], *, rounded: bool = False) -> Curve:
    """A curve through the knots of every beat: `shape(rr_s)` gives (seconds after the R wave, value).

    Its strokes are straight, or rounded where they begin and end.
    """
    knots = [
        (r + after, value)
        for r, rr in zip(beats.r_s[:-1], beats.rr_s, strict=True)
        for after, value in shape(rr)
    ]
    times, values = np.array(knots).T
    if rounded:
        return np.asarray(PchipInterpolator(times, values, extrapolate=True)(t_s), dtype=np.float64)
    return np.asarray(np.interp(t_s, times, values), dtype=np.float64)


def ejection(draw: Draw, beats: Rhythm, t_s: Curve) -> Curve:
    """0 while a semilunar valve is shut, 1 while it is open: a box in systole."""
    start, length = vary(draw, "ejection_starts_s"), vary(draw, "ejection")
    stroke, droop = vary(draw, "cusp_stroke_s"), draw.between(0.6, 1.0)

    def box(rr_s: float) -> Knots:
        stop = start + stroke + min(length * np.sqrt(rr_s), 0.5 * rr_s)
        return [(start, 0), (start + stroke, 1), (stop, droop), (stop + stroke, 0)]

    return beatwise(beats, t_s, box)


def skin(draw: Draw, columns: int, size: float) -> tuple[list[Layer], float]:
    """Near field and chest wall, and the depth in cm at which they end."""
    near = size * draw("near_field_cm")
    layers = [
        Layer(top_cm=np.zeros(columns), level_dB=draw("near_field_dB"), still=True),
        Layer(
            top_cm=np.full(columns, near),
            level_dB=draw("chest_wall_dB"),
            edge_dB=draw.between(0, 8),
            still=draw.chance(0.5),
        ),
    ]
    return layers, near + size * draw("chest_wall_cm")


def wall(draw: Draw, top_cm: Curve, level: str = "septum_dB", *, still: bool = False) -> Layer:
    """A band of muscle whose upper border shines."""
    edge = draw.between(0.06, 0.16)
    return Layer(top_cm=top_cm, level_dB=draw(level), edge_dB=draw("edge_dB"), edge_cm=edge, still=still)


def blood(draw: Draw, top_cm: Curve, moved: Curve) -> Layer:
    """Blood that may grow brighter or darker with the beat, as haze from neighbouring walls does."""
    gain = None
    if draw.chance(0.4):
        gain = vary(draw, "blood_swing_dB") * moved
    level = draw("cavity_dB") + draw.between(0, 12)
    return Layer(top_cm=top_cm, level_dB=level, edge_dB=draw("edge_dB"), edge_cm=0.08, gain_dB=gain)


def uneven(draw: Draw, columns: int, level_dB: float) -> Curve:
    """The level of a free line at each column: it comes and goes by a few dB."""
    swing = smooth_noise(draw.rng, columns, columns / draw.between(10, 80))[0]
    return np.asarray(level_dB + draw.between(0.3, 3) * swing, dtype=np.float64)


def far_wall(draw: Draw, top_cm: Curve, size: float) -> list[Layer]:
    """A bright thin wall or none, and the far field behind it."""
    thick = draw("pericardium_cm") * max(size, 0.6)
    level = draw("pericardium_dB" if draw.chance(0.6) else "far_dB")
    return [
        Layer(top_cm=top_cm, level_dB=level, edge_dB=draw.between(0, 6)),
        Layer(top_cm=top_cm + thick, level_dB=draw("far_dB")),
    ]


def nearby(draw: Draw, walls: Walls, above: dict[str, float], size: float) -> list[Line]:
    """Echoes outside the cavity as on ventricular strips, equally often: trabeculae, reverberation."""
    lines = trabeculae(draw, walls, above, size) if draw.chance(0.5) else []
    return lines + (ghosts(draw, walls, size) if draw.chance(0.3) else [])


def strokes(line: Line, fainter_dB: float) -> list[Line]:
    """`line` and what joins it up where it moves by more than its own width from column to column.

    The renderer draws one depth per column; a leaflet's stroke crosses centimetres in a few columns.
    """
    columns = np.arange(len(line.y_cm), dtype=np.float64)
    steep = np.abs(np.gradient(line.y_cm)) > line.sigma_cm
    steep = np.convolve(steep, np.ones(3), mode="same") > 0
    level = np.where(steep, line.level_dB - fainter_dB, np.nan)
    between = [
        Line(y_cm=np.interp(columns + part, columns, line.y_cm), level_dB=level, sigma_cm=line.sigma_cm)
        for part in (-0.4, -0.2, 0.2, 0.4)
    ]
    return [line, *between]


def within(layers: list[Layer], depth_cm: float) -> list[Layer]:
    """The layers that begin above the lower end of the strip."""
    return [layer for layer in layers if float(np.min(layer.top_cm)) < depth_cm]


def put_in(layers: list[Layer], new: list[Layer], above_cm: float) -> list[Layer]:
    """`new` put in before the first layer that lies at `above_cm` or deeper on average."""
    at = next((k for k, layer in enumerate(layers) if float(np.mean(layer.top_cm)) >= above_cm), len(layers))
    return [*layers[:at], *new, *layers[at:]]


def breath(draw: Draw, t_s: Curve) -> Curve:
    """Drift of the organs with breathing, in cm."""
    return wander(draw, t_s, vary(draw, "breath_cm"), vary(draw, "breath_s"))
