"""The reported quantities: name, code, unit and precision, for SR and overlay alike."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.sr.coding import Code

from dicom_node.report import codes
from inference.types import CycleMeasurement, Landmarks, Point, StripResult


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit: its UCUM code, its symbol on the overlay, and the decimals of values reported in it."""

    code: Code
    label: str
    decimals: int


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One reported quantity."""

    key: str
    """In `StripResult.measurements`."""
    label: str
    concept: Code
    unit: Code
    unit_label: str
    decimals: int
    method: Code | None = None

    def rounded(self, value: float) -> float:
        """Return `value` rounded to the reported precision, an int without decimals."""
        return round(value, self.decimals) if self.decimals else round(value)

    def text(self, value: float) -> str:
        """Return `value` at the reported precision, without its unit."""
        return f"{self.rounded(value):.{self.decimals}f}"


CENTIMETRES: Final = Unit(code=codes.CENTIMETRE, label="cm", decimals=2)
MILLILITRES: Final = Unit(code=codes.MILLILITRE, label="ml", decimals=1)
PERCENT: Final = Unit(code=codes.PERCENT, label="%", decimals=1)
GRAMS: Final = Unit(code=codes.GRAM, label="g", decimals=0)
RATIO: Final = Unit(code=codes.RATIO, label="", decimals=2)
PER_MINUTE: Final = Unit(code=codes.BEATS_PER_MINUTE, label="/min", decimals=0)
LITRES_PER_MINUTE: Final = Unit(code=codes.LITRES_PER_MINUTE, label="l/min", decimals=1)
GRAMS_PER_M2: Final = Unit(code=codes.GRAM_PER_SQUARE_METRE, label="g/m²", decimals=0)


def _quantity(key: str, label: str, concept: Code, unit: Unit, method: Code | None = None) -> Quantity:
    return Quantity(
        key=key,
        label=label,
        concept=concept,
        unit=unit.code,
        unit_label=unit.label,
        decimals=unit.decimals,
        method=method,
    )


QUANTITIES: Final = (
    _quantity("IVSd_cm", "IVSd", codes.IVS_DIASTOLE, CENTIMETRES),
    _quantity("LVIDd_cm", "LVIDd", codes.LVID_DIASTOLE, CENTIMETRES),
    _quantity("LVPWd_cm", "LVPWd", codes.LVPW_DIASTOLE, CENTIMETRES),
    _quantity("IVSs_cm", "IVSs", codes.IVS_SYSTOLE, CENTIMETRES),
    _quantity("LVIDs_cm", "LVIDs", codes.LVID_SYSTOLE, CENTIMETRES),
    _quantity("LVPWs_cm", "LVPWs", codes.LVPW_SYSTOLE, CENTIMETRES),
    _quantity("FS_percent", "FS", codes.FRACTIONAL_SHORTENING, PERCENT),
    _quantity("EDV_ml", "EDV", codes.END_DIASTOLIC_VOLUME, MILLILITRES, codes.TEICHHOLZ),
    _quantity("ESV_ml", "ESV", codes.END_SYSTOLIC_VOLUME, MILLILITRES, codes.TEICHHOLZ),
    _quantity("SV_ml", "SV", codes.STROKE_VOLUME, MILLILITRES, codes.TEICHHOLZ),
    _quantity("EF_percent", "EF", codes.EJECTION_FRACTION, PERCENT, codes.TEICHHOLZ),
    _quantity("LVmass_g", "LV mass", codes.LV_MASS, GRAMS, codes.MASS_BY_M_MODE),
    _quantity("RWT", "RWT", codes.RELATIVE_WALL_THICKNESS, RATIO),
    _quantity("HR_bpm", "HR", codes.HEART_RATE, PER_MINUTE),
    _quantity("CO_l_min", "CO", codes.CARDIAC_OUTPUT, LITRES_PER_MINUTE, codes.TEICHHOLZ),
)
LV_MASS_INDEX: Final = _quantity(
    "LVmassIndex_g_m2", "LV mass index", codes.LV_MASS_INDEX, GRAMS_PER_M2, codes.MASS_BY_M_MODE
)
"""LVmass_g over body surface area, reported when height and weight are known."""
BY_KEY: Final[Mapping[str, Quantity]] = {quantity.key: quantity for quantity in QUANTITIES}

PHASES: Final[Mapping[str, tuple[str, str, str]]] = {
    "diastole": ("IVSd_cm", "LVIDd_cm", "LVPWd_cm"),
    "systole": ("IVSs_cm", "LVIDs_cm", "LVPWs_cm"),
}


def known(result: StripResult, quantity: Quantity) -> float | None:
    """Return the value to report; None if it is missing or not finite."""
    found = result.measurements.get(quantity.key)
    return found.value if found is not None and math.isfinite(found.value) else None


def label_text(key: str, cycle: CycleMeasurement, withheld: Collection[str]) -> str:
    """Return name and length of a caliper of one beat, without unit; a question mark if it is withheld."""
    quantity = BY_KEY[key]
    return f"{quantity.label} {'?' if key in withheld else quantity.text(cycle.values[key])}"


def calipers(landmarks: Landmarks) -> dict[str, tuple[Point, Point]]:
    """Return the six vertical calipers of a cycle by key, upper end first, in image pixels.

    The calipers of a phase are at the mean column of its four landmarks: lengths are measured along y
    only, and a slanted line would suggest another length.
    """
    lines = {}
    for phase, keys in PHASES.items():
        points: tuple[Point, ...] = getattr(landmarks, phase)
        column = sum(x for x, _ in points) / len(points)
        for key, (_, upper), (_, lower) in zip(keys, points[:-1], points[1:], strict=True):
            lines[key] = ((column, upper), (column, lower))
    return lines
