"""Frozen values that travel through the measuring side.

All pixel coordinates are in the full image: x to the right, y down, origin at the centre of the
top-left pixel, sub-pixel floats, unless a name says otherwise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]

LENGTHS = ("IVSd_cm", "LVIDd_cm", "LVPWd_cm", "IVSs_cm", "LVIDs_cm", "LVPWs_cm")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Physical size of one pixel of an M-mode region (PS3.3 C.8.5.5), both positive and finite."""

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
    """One detected cardiac cycle, (x0, y0) top left, and how sure the detector is (0…1)."""

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
    """Eight wall landmarks: per phase septum outer, septum inner, posterior wall inner, outer."""

    diastole: tuple[Point, Point, Point, Point]
    systole: tuple[Point, Point, Point, Point]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A number with its 95 % interval, in the unit its key names."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CycleMeasurement:
    """One measured cycle: where it is, its landmarks, and every number of it."""

    box: CycleBox
    landmarks: Landmarks
    values: Mapping[str, float]
    """Keys: LENGTHS, EDV_ml, ESV_ml, SV_ml, EF_percent, FS_percent, LVmass_g, RWT, HR_bpm, CO_l_min."""
    spread: Mapping[str, float]
    """Standard deviation of each value over the resampled crops, same keys."""


@dataclass(frozen=True, kw_only=True)
class StripResult:
    """What became of one M-mode strip, or of one image that has none.

    `status` is "measured" or "not_measured"; a refusal has a `reason` (see `errors`) and a `detail`.
    `measurements` is the mean over the cycles listed in `used` (indices into `cycles`); `chosen` is
    the most probable cycle.
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

    @property
    def measured(self) -> bool:
        """True when numbers may be reported."""
        return self.status == "measured"


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """What made a number: name, version and the sha256 over both weights files."""

    name: str
    version: str
    sha256: str
