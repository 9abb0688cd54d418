"""Lengths whose interval is too wide to be reported, and the values that would follow from them."""

from collections.abc import Mapping
from types import MappingProxyType

from inference.errors import LowAgreement
from inference.measure.clinical_limits import ANY_HEART, Limits
from inference.types import LENGTHS, Value

DIAMETERS = ("LVIDd_cm", "LVIDs_cm")
FOLLOWS_FROM: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{name: (name,) for name in LENGTHS},
        **dict.fromkeys(("SV_ml", "EF_percent", "FS_percent", "CO_l_min"), DIAMETERS),
        "EDV_ml": ("LVIDd_cm",),
        "ESV_ml": ("LVIDs_cm",),
        "LVmass_g": ("IVSd_cm", "LVIDd_cm", "LVPWd_cm"),
        "RWT": ("LVPWd_cm", "LVIDd_cm"),
    }
)
"""The lengths that each value is computed from (see `formulas`)."""


def too_doubtful(values: Mapping[str, Value], limits: Limits = ANY_HEART) -> tuple[str, ...]:
    """The values to withhold, in their order: of borders that are hardly seen the others need not suffer.

    Raises:
        LowAgreement: no length would be left.
    """
    wide = {name for name in LENGTHS if _half_width(values[name]) > _widest(name, limits)}
    if len(wide) == len(LENGTHS):
        low, high = values["LVIDd_cm"].ci95
        raise LowAgreement(f"no border is sure enough: LVIDd could be {low:.1f} to {high:.1f} cm")
    return tuple(name for name in values if wide.intersection(FOLLOWS_FROM.get(name, ())))


def _widest(name: str, limits: Limits) -> float:
    return limits.widest_cavity if name in DIAMETERS else limits.widest_wall


def _half_width(value: Value) -> float:
    """Half of the interval, as a share of the value."""
    low, high = value.ci95
    return (high - low) / 2 / value.value
