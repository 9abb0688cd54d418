"""Labelled M-mode strips, from phantoms or tracings, for training and evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.errors import LowAgreement
from inference.measure.formulas import measure
from inference.measure.plausibility import agreeing
from inference.types import (
    Calibration,
    CycleBox,
    CycleMeasurement,
    Landmarks,
    MModeRegion,
    MModeStrip,
)

LEFT_VENTRICLE = "LV"


@dataclass(frozen=True, kw_only=True)
class CycleTruth:
    """One cycle in strip pixels: box (x0, y0, x1, y1) and its eight landmarks."""

    box_px: tuple[float, float, float, float]
    landmarks_px: Landmarks


@dataclass(frozen=True, kw_only=True)
class LabelledStrip:
    """The gray pixels of one M-mode strip and its labels.

    Strip pixels: origin at the centre of the strip's top-left pixel. A strip that shows anything but a left
    ventricle has no cycles.
    """

    name: str
    """File name, or kind and seed of a phantom."""
    kind: str
    """`LV`, or what it shows instead (`mitral`, `TAPSE`, `other` …)."""
    pixels: NDArray[np.uint8]
    """(height, width) uint8."""
    calibration: Calibration
    cycles: tuple[CycleTruth, ...]
    walls_px: NDArray[np.float32] | None = None
    """(4, width) depth at each column of septum outer, septum inner, posterior wall inner, outer; NaN
    where unknown. None when only the landmarks of the cycles are known."""
    manners: tuple[str, ...] = ()
    """In which a phantom hides its borders, see `inference.phantom.manners`."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Further facts, such as source and licence."""

    @property
    def is_lv(self) -> bool:
        """True for a left ventricle at chordal level."""
        return self.kind == LEFT_VENTRICLE

    @property
    def strip(self) -> MModeStrip:
        """The strip as an image of its own."""
        height, width = self.pixels.shape
        region = MModeRegion(x0=0, y0=0, x1=width - 1, y1=height - 1, calibration=self.calibration, index=0)
        return MModeStrip(pixels=self.pixels, region=region, frame=0)


def cycle_values(strip: LabelledStrip, cycle: CycleTruth) -> dict[str, float]:
    """All values of one labelled cycle, keyed as in `CycleMeasurement.values`."""
    rr_s = (cycle.box_px[2] - cycle.box_px[0]) * strip.calibration.s_per_px_x
    return measure(cycle.landmarks_px, strip.calibration, rr_s=rr_s)


def mean_values(strip: LabelledStrip) -> dict[str, float]:
    """All values averaged over the labelled cycles that agree; empty without cycles.

    Ectopic beats are left out by the rule of the reports (`agreeing`); where fewer than half of the cycles
    agree, all are averaged.
    """
    each = [true_measurement(strip, cycle) for cycle in strip.cycles]
    if not each:
        return {}
    try:
        used = agreeing(each)
    except LowAgreement:
        used = tuple(range(len(each)))
    return {name: float(np.mean([each[i].values[name] for i in used])) for name in each[0].values}


def true_measurement(strip: LabelledStrip, cycle: CycleTruth) -> CycleMeasurement:
    """A labelled cycle as a measurement of probability 1 without spread."""
    x0, y0, x1, y1 = cycle.box_px
    return CycleMeasurement(
        box=CycleBox(x0=x0, y0=y0, x1=x1, y1=y1, probability=1.0),
        landmarks=cycle.landmarks_px,
        values=cycle_values(strip, cycle),
        spread={},
    )
