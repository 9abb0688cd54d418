"""Label, unit and factor with which quantities are shown."""

from inference.types import LENGTHS

MM_PER_CM = 10.0
POINTS = "points"
"""Unit of a difference between percentages."""


def shown(name: str) -> tuple[str, str, float]:
    """Label, unit and factor of a quantity: lengths in mm, fractions in percentage points."""
    label, _, unit = name.partition("_")
    if name in LENGTHS:
        return label, "mm", MM_PER_CM
    return label, POINTS if unit == "percent" else unit, 1.0
