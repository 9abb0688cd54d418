"""What a heart can be: every limit of the plausibility rules in one table, and the table of a child.

A limit is that of any living heart, ill or well; only the impossible lies outside. Where the data
set tells the patient's size, the lengths are held to wide multiples of what is normal for the body
surface: Pettersen MD et al., J Am Soc Echocardiogr 2008;21:922 (782 children, M-mode), which agrees
with Kampmann C et al., Heart 2000;83:667 (2036 children). The multiples leave room for dilated
cardiomyopathy beyond ten standard deviations and walls five times as thick as normal.
"""

from dataclasses import dataclass, replace

import numpy as np

from inference.types import Patient

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The least and the most of everything that is checked; lengths in cm."""

    LVIDd_cm: Range = (0.8, 10.0)
    LVIDs_cm: Range = (0.3, 9.5)
    IVSd_cm: Range = (0.15, 4.0)
    LVPWd_cm: Range = (0.15, 4.0)
    IVSs_cm: Range = (0.15, 4.5)
    LVPWs_cm: Range = (0.15, 4.5)
    RR_s: Range = (0.25, 2.5)
    systole_share: Range = (0.20, 0.60)
    """End systole follows end diastole by this share of the beat."""
    FS_percent: Range = (2.0, 75.0)
    """By how much the cavity narrows."""
    thickening: Range = (0.85, 3.5)
    """Both walls together, systole over diastole; below 1 only by what a dead wall and noise explain."""
    posterior_share: Range = (-0.3, 3.0)
    """Part of the narrowing that the posterior wall contributes: 1 with a still septum, above 1 with a
    paradoxical one, little below 0 with an infarcted posterior wall."""
    spread_share: float = 0.08
    """Most deviation of a length over resampled crops, as a share of the diastolic heart from the
    septum's outer border to the posterior wall's."""
    rate_factor: float = 1.3
    """Measured rate over the HeartRate of the data set, or the inverse."""
    regular_RR: float = 0.20
    """A beat this much shorter or longer than the median one is not of the same rhythm."""
    agree_LVIDd: float = 0.12
    """As a share of the median."""
    agree_EF_points: float = 12.0
    agree_wall: float = 0.25
    """As a share of the median: a beat with another wall takes no part in the average."""


ANY_HEART = Limits()
PETTERSEN = {
    "LVIDd_cm": (0.105, 2.859, -2.119, 0.552),
    "IVSd_cm": (-1.242, 1.272, -0.762, 0.208),
    "LVPWd_cm": (-1.586, 1.849, -1.188, 0.313),
}
"""ln(length in cm) as a polynomial of body surface in m², constant term first (table 2 of the paper).
Systole follows from diastole, narrowing and thickening: an ill heart may hardly move."""
SURFACE_M2 = (0.2, 2.0)
"""Where those polynomials hold; smaller and larger bodies get the limits of the nearer end."""
CAVITY_MULTIPLE, WALL_MULTIPLE = (0.3, 2.5), (0.3, 5.0)
SURFACE_AT_AGE = ((0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 18.0), (0.2, 0.37, 0.45, 0.55, 0.75, 1.15, 1.6, 1.8))
"""Years and m²: the middle of the WHO growth charts by the formula of Haycock."""


def limits_for(patient: Patient) -> Limits:
    """The limits for a patient of this size and age; those of any heart when nothing is known.

    Size and age that contradict each other widen the limits: nobody knows which is wrong.
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
    """Body surface told by height and weight, and expected at that age; what is not known is left out."""
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


def _range(name: str, surfaces_m2: list[float], multiple: Range) -> Range:
    normal = [_normal_cm(name, surface) for surface in surfaces_m2]
    least, most = getattr(ANY_HEART, name)
    return max(least, multiple[0] * min(normal)), min(most, multiple[1] * max(normal))


def _normal_cm(name: str, surface_m2: float) -> float:
    powers = np.clip(surface_m2, *SURFACE_M2) ** np.arange(4)
    return float(np.exp(np.dot(PETTERSEN[name], powers)))
