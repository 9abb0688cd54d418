"""What is reported: name, code, unit and precision of each number, the same in SR and overlay."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.sr.coding import Code

from dicom_node.report import codes
from inference.types import Landmarks, Point, StripResult


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One reported number: its key in `StripResult.measurements` and how it is shown and coded."""

    key: str
    label: str
    concept: Code
    unit: Code
    unit_label: str
    decimals: int
    method: Code | None = None

    def rounded(self, value: float) -> float:
        """Return `value` at the reported precision, an int where that has no decimals."""
        return round(value, self.decimals) if self.decimals else round(value)

    def text(self, value: float) -> str:
        """Return `value` at the reported precision, without its unit."""
        return f"{self.rounded(value):.{self.decimals}f}"


def _length(key: str, concept: Code) -> Quantity:
    label = key.removesuffix("_cm")
    return Quantity(key=key, label=label, concept=concept, unit=codes.CENTIMETRE, unit_label="cm", decimals=2)


def _volume(key: str, concept: Code) -> Quantity:
    return Quantity(
        key=key,
        label=key.removesuffix("_ml"),
        concept=concept,
        unit=codes.MILLILITRE,
        unit_label="ml",
        decimals=1,
        method=codes.TEICHHOLZ,
    )


QUANTITIES: Final = (
    _length("IVSd_cm", codes.IVS_DIASTOLE),
    _length("LVIDd_cm", codes.LVID_DIASTOLE),
    _length("LVPWd_cm", codes.LVPW_DIASTOLE),
    _length("IVSs_cm", codes.IVS_SYSTOLE),
    _length("LVIDs_cm", codes.LVID_SYSTOLE),
    _length("LVPWs_cm", codes.LVPW_SYSTOLE),
    Quantity(
        key="FS_percent",
        label="FS",
        concept=codes.FRACTIONAL_SHORTENING,
        unit=codes.PERCENT,
        unit_label="%",
        decimals=1,
    ),
    _volume("EDV_ml", codes.END_DIASTOLIC_VOLUME),
    _volume("ESV_ml", codes.END_SYSTOLIC_VOLUME),
    _volume("SV_ml", codes.STROKE_VOLUME),
    Quantity(
        key="EF_percent",
        label="EF",
        concept=codes.EJECTION_FRACTION,
        unit=codes.PERCENT,
        unit_label="%",
        decimals=1,
        method=codes.TEICHHOLZ,
    ),
    Quantity(
        key="LVmass_g",
        label="LV mass",
        concept=codes.LV_MASS,
        unit=codes.GRAM,
        unit_label="g",
        decimals=0,
        method=codes.MASS_BY_M_MODE,
    ),
    Quantity(
        key="RWT",
        label="RWT",
        concept=codes.RELATIVE_WALL_THICKNESS,
        unit=codes.RATIO,
        unit_label="",
        decimals=2,
    ),
    Quantity(
        key="HR_bpm",
        label="HR",
        concept=codes.HEART_RATE,
        unit=codes.BEATS_PER_MINUTE,
        unit_label="/min",
        decimals=0,
    ),
    Quantity(
        key="CO_l_min",
        label="CO",
        concept=codes.CARDIAC_OUTPUT,
        unit=codes.LITRES_PER_MINUTE,
        unit_label="l/min",
        decimals=1,
        method=codes.TEICHHOLZ,
    ),
)
LV_MASS_INDEX: Final = Quantity(
    key="LVmassIndex_g_m2",
    label="LV mass index",
    concept=codes.LV_MASS_INDEX,
    unit=codes.GRAM_PER_SQUARE_METRE,
    unit_label="g/m²",
    decimals=0,
    method=codes.MASS_BY_M_MODE,
)
"""LVmass_g over the body surface: reported when height and weight are known."""
BY_KEY: Final[Mapping[str, Quantity]] = {quantity.key: quantity for quantity in QUANTITIES}

PHASES: Final[Mapping[str, tuple[str, str, str]]] = {
    "diastole": ("IVSd_cm", "LVIDd_cm", "LVPWd_cm"),
    "systole": ("IVSs_cm", "LVIDs_cm", "LVPWs_cm"),
}


def known(result: StripResult, quantity: Quantity) -> float | None:
    """Return the value to report, None when it was not measured: a missing number is never sent as 0."""
    found = result.measurements.get(quantity.key)
    return found.value if found is not None and math.isfinite(found.value) else None


def calipers(landmarks: Landmarks) -> dict[str, tuple[Point, Point]]:
    """Return the six vertical calipers of a cycle, upper end first, in image pixels.

    The four landmarks of a phase share one column, their mean: a depth scale measures along y only,
    so a slanted line would claim a length that nobody measured.
    """
    lines = {}
    for phase, keys in PHASES.items():
        points: tuple[Point, ...] = getattr(landmarks, phase)
        column = sum(x for x, _ in points) / len(points)
        for key, (_, upper), (_, lower) in zip(keys, points[:-1], points[1:], strict=True):
            lines[key] = ((column, upper), (column, lower))
    return lines
