"""Frozen values shared by image reading, networks and measuring.

All pixel coordinates are in the full image: x to the right, y down, origin at the centre of the top-left
pixel, sub-pixel floats, unless a name says otherwise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
"""(x, y) in pixels."""

LENGTHS = ("IVSd_cm", "LVIDd_cm", "LVPWd_cm", "IVSs_cm", "LVIDs_cm", "LVPWs_cm")
"""Septum, inner diameter and posterior wall at end diastole (d) and end systole (s)."""
LANDMARK_ORDER = tuple(
    f"{border}_{phase}"
    for phase in ("diastole", "systole")
    for border in ("septum_outer", "septum_inner", "posterior_wall_inner", "posterior_wall_outer")
)
"""Order of the points in every (8, 2) array of landmarks; the inner borders face the cavity."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Size, age and heart rate as the device wrote them; None where absent or unusable."""

    height_m: float | None = None
    weight_kg: float | None = None
    age_years: float | None = None
    heart_rate_bpm: float | None = None

    @property
    def body_surface_m2(self) -> float | None:
        """Body surface by Haycock GB et al., J Pediatr 1978;93:62; None without height and weight."""
        if self.height_m is None or self.weight_kg is None:
            return None
        return float(0.024265 * (100 * self.height_m) ** 0.3964 * self.weight_kg**0.5378)


UNKNOWN_PATIENT = Patient()


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Physical size of one pixel of an M-mode region (PS3.3 C.8.5.5).

    Raises:
        ValueError: a size is not positive or not finite.
    """

    cm_per_px_y: float
    s_per_px_x: float

    def __post_init__(self) -> None:
        for name, value in (("cm_per_px_y", self.cm_per_px_y), ("s_per_px_x", self.s_per_px_x)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, not {value}")


@dataclass(frozen=True, kw_only=True)
class MModeRegion:
    """A calibrated M-mode rectangle in image pixels; both corners belong to it."""

    x0: int
    y0: int
    x1: int
    y1: int
    calibration: Calibration
    index: int
    """Position in SequenceOfUltrasoundRegions, from 0."""

    @property
    def xyxy_px(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1), inclusive."""
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True, kw_only=True)
class MModeStrip:
    """The grayscale pixels of one M-mode region of one frame."""

    pixels: NDArray[np.uint8]
    """(height, width) uint8, 0 = black."""
    region: MModeRegion
    frame: int
    """Frame index from 0."""


@dataclass(frozen=True, kw_only=True)
class CycleBox:
    """One detected cardiac cycle: (x0, y0) top left, (x1, y1) bottom right, detector probability 0…1."""

    x0: float
    y0: float
    x1: float
    y1: float
    probability: float

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1)."""
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Four border points per phase: septum outer, septum inner, posterior wall inner, outer."""

    diastole: tuple[Point, Point, Point, Point]
    systole: tuple[Point, Point, Point, Point]


def as_landmarks(points: NDArray[np.float64]) -> Landmarks:
    """Convert (8, 2) points in `LANDMARK_ORDER`."""
    p = [(float(x), float(y)) for x, y in points]
    return Landmarks(diastole=(p[0], p[1], p[2], p[3]), systole=(p[4], p[5], p[6], p[7]))


@dataclass(frozen=True, kw_only=True)
class LandmarkSamples:
    """The landmarks of one cycle, once per test-time crop."""

    points_px: NDArray[np.float64]
    """(crops, 8, 2) full-image pixels, in `LANDMARK_ORDER`."""
    lv_probability: NDArray[np.float64]
    """(crops,) probability of a left ventricle at chordal level, 0…1."""

    certainty: NDArray[np.float64]
    """(crops,) share of the predicted distribution near the chosen position, at the least certain of the
    eight landmarks, 0…1."""
    doubt_px: NDArray[np.float64]
    """(crops, 8) mean distance of the predicted distribution from each landmark along y, in pixels."""

    @property
    def mean(self) -> Landmarks:
        """Mean position of each landmark over the crops."""
        return as_landmarks(self.points_px.mean(axis=0))

    @property
    def mean_lv_probability(self) -> float:
        """Mean over the crops."""
        return float(self.lv_probability.mean())

    @property
    def mean_certainty(self) -> float:
        """Mean over the crops."""
        return float(self.certainty.mean())


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number with its 95 % interval, in the unit its key names."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CycleMeasurement:
    """Box, landmarks and values of one measured cycle."""

    box: CycleBox
    landmarks: Landmarks
    values: Mapping[str, float]
    """Keys: LENGTHS, EDV_ml, ESV_ml, SV_ml, EF_percent, FS_percent, LVmass_g, RWT, HR_bpm, CO_l_min."""
    spread: Mapping[str, float]
    """Standard deviation of each value over the test-time crops, same keys."""
    doubt: Mapping[str, float] = field(default_factory=dict)
    """By how much the network's own distributions leave each of the LENGTHS open, in cm; without a key: not
    at all."""


@dataclass(frozen=True, kw_only=True)
class RefusedFrame:
    """A frame of a clip that was to be measured and could not be read."""

    frame: int
    """Index from 0."""
    reason: str
    """A word of `errors`."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class StripResult:
    """The result for one M-mode strip, or for one image without any.

    `status` is "measured" or "not_measured"; a refusal has a `reason` (see `errors`) and a `detail`.
    `measurements` is the mean over the cycles listed in `used` (indices into `cycles`); `chosen` is the
    most probable cycle.
    """

    status: str
    reason: str | None = None
    detail: str = ""
    frame: int = 0
    region: MModeRegion | None = None
    cycles: tuple[CycleMeasurement, ...] = ()
    chosen: int = 0
    used: tuple[int, ...] = ()
    measurements: Mapping[str, Value] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    """Keys that `measurements` lacks because a border is too doubtful to report them."""
    refused_frames: tuple[RefusedFrame, ...] = ()
    """Frames of the clip that cost only themselves, in ascending order."""

    @property
    def measured(self) -> bool:
        """True when numbers may be reported."""
        return self.status == "measured"


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Name and version of the model, and one sha256 for both weights files."""

    name: str
    version: str
    sha256: str
