"""Formulas from landmarks and calibration to cm, ml, percent and bpm.

Sources: lengths by the leading-edge convention of the eight landmarks; Teichholz LE et al., Am J Cardiol
1976;37:7; LV mass by the Devereux cube formula, Lang RM et al., J Am Soc Echocardiogr 2015;28:1; patent
CN109620293B [0120-0125].
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.types import LENGTHS, Calibration, Landmarks

Number = TypeVar("Number", float, NDArray[np.float64])
"""One value, or an array of samples of it."""

MYOCARDIUM_G_PER_ML = 1.04


def teichholz_ml(diameter_cm: Number) -> Number:
    """Left ventricular volume in ml from its inner diameter: V = 7 D^3 / (2.4 + D)."""
    return 7.0 * diameter_cm**3 / (2.4 + diameter_cm)


def fractional_shortening_percent(LVIDd_cm: Number, LVIDs_cm: Number) -> Number:
    """FS = (LVIDd - LVIDs) / LVIDd in percent."""
    return 100.0 * (LVIDd_cm - LVIDs_cm) / LVIDd_cm


def lv_mass_g(IVSd_cm: Number, LVIDd_cm: Number, LVPWd_cm: Number) -> Number:
    """Devereux cube: 0.8 x 1.04 x ((IVSd + LVIDd + LVPWd)^3 - LVIDd^3) + 0.6 g."""
    return 0.8 * MYOCARDIUM_G_PER_ML * ((IVSd_cm + LVIDd_cm + LVPWd_cm) ** 3 - LVIDd_cm**3) + 0.6


def lengths_cm(landmarks: Landmarks, calibration: Calibration) -> dict[str, float]:
    """The six `LENGTHS` from the eight landmarks and the size of a pixel."""
    lengths = {}
    for phase, points in (("d", landmarks.diastole), ("s", landmarks.systole)):
        y = [point[1] for point in points]
        for name, upper, lower in (("IVS", 0, 1), ("LVID", 1, 2), ("LVPW", 2, 3)):
            lengths[f"{name}{phase}_cm"] = (y[lower] - y[upper]) * calibration.cm_per_px_y
    return lengths


def doubt_cm(borders_px: NDArray[np.float64], calibration: Calibration) -> dict[str, float]:
    """Doubt of the six `LENGTHS` from that of the eight landmarks along y: both ends of a length add up."""
    ends = borders_px.reshape(2, 4) * calibration.cm_per_px_y
    return dict(zip(LENGTHS, np.hypot(ends[:, :-1], ends[:, 1:]).ravel().tolist(), strict=True))


def derived(lengths: Mapping[str, Number], *, rr_s: Number) -> dict[str, Number]:
    """Volumes, fractions, mass, relative wall thickness and rate from the six lengths and RR.

    Lengths must be positive (`plausibility.check_cycle` refuses others before).
    """
    d, s = lengths["LVIDd_cm"], lengths["LVIDs_cm"]
    EDV_ml, ESV_ml = teichholz_ml(d), teichholz_ml(s)
    SV_ml, HR_bpm = EDV_ml - ESV_ml, 60.0 / rr_s
    return {
        "EDV_ml": EDV_ml,
        "ESV_ml": ESV_ml,
        "SV_ml": SV_ml,
        "EF_percent": 100.0 * SV_ml / EDV_ml,
        "FS_percent": fractional_shortening_percent(d, s),
        "LVmass_g": lv_mass_g(lengths["IVSd_cm"], d, lengths["LVPWd_cm"]),
        "RWT": 2.0 * lengths["LVPWd_cm"] / d,
        "HR_bpm": HR_bpm,
        "CO_l_min": SV_ml * HR_bpm / 1000.0,
    }


def measure(landmarks: Landmarks, calibration: Calibration, *, rr_s: float) -> dict[str, float]:
    """All values of one cycle, keyed by name and unit; `rr_s` is the RR interval."""
    lengths = lengths_cm(landmarks, calibration)
    return {**lengths, **derived(lengths, rr_s=rr_s)}
