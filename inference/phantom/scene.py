"""A scene: tissue layers with moving borders and free lines, ready to be rendered."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.phantom.motion import Curve


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of tissue or blood, from its upper border down to the next layer's."""

    top_cm: Curve
    """Depth of the upper border at each column."""
    level_dB: float
    edge_dB: float = 0.0
    """How much the upper border shines above the brighter of its neighbours; 0 = no line."""
    edge_cm: float = 0.08
    still: bool = False
    """True for what does not speckle with the beat: near-field bands, reverberation."""
    gain_dB: Curve | None = None
    """Level of this layer at each column, added to `level_dB`: drop-out, flow, opening and closing."""
    fading_dB: Curve | None = None
    """Added like `gain_dB`; hides the layer for a while, which the rendering does not make up for."""
    muscle: bool = False
    """True for the ventricle's own walls, which the rendering keeps visible."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A thin free structure (chorda, leaflet): depth and level per column, NaN where unseen."""

    y_cm: Curve
    level_dB: Curve
    sigma_cm: float
    border: bool = False
    """True for the fragments of a wall's border, which the rendering keeps visible."""


@dataclass(frozen=True, kw_only=True)
class Beat:
    """Truth of one cardiac cycle: columns and depths of its borders.

    `diastole_cm` and `systole_cm` are septum outer, septum inner, posterior wall inner, outer at
    columns `diastole_px` and `systole_px`; `top_cm`, `bottom_cm` span the walls over the cycle.
    """

    start_px: float
    end_px: float
    diastole_px: float
    systole_px: float
    diastole_cm: tuple[float, float, float, float]
    systole_cm: tuple[float, float, float, float]
    top_cm: float
    bottom_cm: float


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The time axis of a strip: seconds at each column, with a jump at the sweep gap if there is one."""

    t_s: Curve
    s_per_px: float
    gap_px: tuple[int, int] | None = None
    """First and one past the last column of the black bar."""

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Column ranges [start, stop) in which time runs on without a jump."""
        if self.gap_px is None:
            return [(0, len(self.t_s))]
        return [(0, self.gap_px[0]), (self.gap_px[1], len(self.t_s))]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the beam meets, and the truth if it is a left ventricle at chordal level."""

    kind: str
    depth_cm: float
    layers: list[Layer]
    lines: list[Line] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    walls_cm: NDArray[np.float64] | None = None
    """(4, columns) depth of the four wall borders, for a left ventricle."""


def brightest_dB(layer: Layer) -> float:
    """The body of a layer at its brightest."""
    return layer.level_dB if layer.gain_dB is None else layer.level_dB + float(np.max(layer.gain_dB))


def dimmest_dB(layer: Layer) -> float:
    """The body of a layer at its dimmest."""
    return layer.level_dB if layer.gain_dB is None else layer.level_dB + float(np.min(layer.gain_dB))


def borders(scene: Scene, columns: int) -> NDArray[np.float64]:
    """Depth of every border at every column, (layers + 1, columns) in cm, never crossing.

    Where two would cross, the upper one gives way: the walls below it are the truth.
    """
    tops = [np.broadcast_to(layer.top_cm, (columns,)) for layer in scene.layers]
    stacked = np.stack([*tops, np.full(columns, scene.depth_cm)])
    stacked[0] = 0.0
    return np.clip(np.minimum.accumulate(stacked[::-1], axis=0)[::-1], 0.0, scene.depth_cm)
