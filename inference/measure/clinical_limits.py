"""Limits of the plausibility rules in one table, and their scaling to the patient's body surface.

The limits admit any living heart, healthy or diseased. Where the data set tells the patient's size or age,
the lengths are held to wide multiples of what is normal for the body surface: Pettersen MD et al., J Am Soc
Echocardiogr 2008;21:922 (782 children, M-mode), which agrees with Kampmann C et al., Heart 2000;83:667
(2036 children). The multiples admit dilated cardiomyopathy beyond ten standard deviations and walls five
times as thick as normal.
"""

from dataclasses import dataclass, replace

import numpy as np

from inference.types import Patient

Bounds = tuple[float, float]
"""(least, most), both allowed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Range of every checked quantity; lengths in cm."""

    LVIDd_cm: Bounds = (0.8, 10.0)
    LVIDs_cm: Bounds = (0.3, 9.5)
    IVSd_cm: Bounds = (0.15, 4.0)
    LVPWd_cm: Bounds = (0.15, 4.0)
    IVSs_cm: Bounds = (0.15, 4.5)
    LVPWs_cm: Bounds = (0.15, 4.5)
    RR_s: Bounds = (0.25, 2.5)
    systole_share: Bounds = (0.20, 0.60)
    """Time from end diastole to end systole as a share of the beat."""
    FS_percent: Bounds = (2.0, 75.0)
    """Fractional shortening."""
    thickening: Bounds = (0.85, 3.5)
    """Sum of both wall thicknesses, systole over diastole; below 1 for a wall that does not contract,
    and noise."""
    posterior_share: Bounds = (-0.3, 3.0)
    """Part of the narrowing that the posterior wall contributes: 1 with a still septum, above 1 with a
    paradoxical one, slightly below 0 with an infarcted posterior wall."""
    spread_share: float = 0.08
    """Greatest standard deviation of a length over the test-time crops, as a share of the diastolic
    distance from the septum's outer border to the posterior wall's."""
    widest_wall: float = 0.6
    """Greatest half of a wall's 95 % interval, as a share of its thickness: beyond, a wall of 1.0 cm could
    not be told from a severely thickened one of 1.6 cm (Lang RM et al., J Am Soc Echocardiogr 2015;28:1)."""
    widest_cavity: float = 0.25
    """The same of a diameter: beyond, a ventricle of 5.0 cm could not be told from a dilated one of 6.25."""
    rate_factor: float = 1.3
    """Greatest ratio between the measured rate and HeartRate of the data set, either way."""
    regular_RR: float = 0.20
    """Greatest deviation from the median RR, as a share of it, of a beat of the main rhythm."""
    agree_LVIDd: float = 0.12
    """Greatest deviation from the median LVIDd, as a share of it."""
    agree_EF_points: float = 12.0
    """Greatest deviation from the median EF, in percentage points."""
    agree_wall: float = 0.25
    """Greatest deviation from the median of each wall thickness, as a share of it."""


ANY_HEART = Limits()
PETTERSEN = {
    "LVIDd_cm": (0.105, 2.859, -2.119, 0.552),
    "IVSd_cm": (-1.242, 1.272, -0.762, 0.208),
    "LVPWd_cm": (-1.586, 1.849, -1.188, 0.313),
}
"""ln(length in cm) as a polynomial of the body surface in m², constant term first (table 2 of the
paper). Systolic lengths are not scaled: narrowing and thickening limit them."""
SURFACE_M2 = (0.2, 2.0)
"""Bounds in which the polynomials hold; other body surfaces are clipped to it."""
CAVITY_MULTIPLE, WALL_MULTIPLE = (0.3, 2.5), (0.3, 5.0)
"""Least and greatest multiple of the normal length."""
SURFACE_AT_AGE = ((0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 18.0), (0.2, 0.37, 0.45, 0.55, 0.75, 1.15, 1.6, 1.8))
"""(years), (m²): median height and weight of the WHO growth charts, by the formula of Haycock."""


def limits_for(patient: Patient) -> Limits:
    """The limits for a patient of this size and age; `ANY_HEART` when neither is known.

    Where size and age contradict each other, the limits admit both.
    """
    surfaces = body_surfaces_m2(patient)
    if not surfaces:
        return ANY_HEART
    return replace(
        ANY_HEART,
        LVIDd_cm=_range("LVIDd_cm", surfaces, CAVITY_MULTIPLE),
        IVSd_cm=_range("IVSd_cm", surfaces, WALL_MULTIPLE),
        LVPWd_cm=_range("LVPWd_cm", surfaces, WALL_MULTIPLE),
    )


def body_surfaces_m2(patient: Patient) -> list[float]:
    """Body surface by height and weight, and by age; an unknown one is left out."""
    surfaces = []
    if patient.body_surface_m2 is not None:
        surfaces.append(patient.body_surface_m2)
    elif patient.height_m is not None:
        surfaces.append(0.67 * patient.height_m**1.7)
    elif patient.weight_kg is not None:
        surfaces.append(0.1 * patient.weight_kg ** (2 / 3))
    if patient.age_years is not None:
        surfaces.append(float(np.interp(patient.age_years, *SURFACE_AT_AGE)))
    return surfaces


def _range(name: str, surfaces_m2: list[float], multiple: Bounds) -> Bounds:
    normal = [_normal_cm(name, surface) for surface in surfaces_m2]
    least, most = getattr(ANY_HEART, name)
    return max(least, multiple[0] * min(normal)), min(most, multiple[1] * max(normal))


def _normal_cm(name: str, surface_m2: float) -> float:
    powers = np.clip(surface_m2, *SURFACE_M2) ** np.arange(4)
    return float(np.exp(np.dot(PETTERSEN[name], powers)))
