"""Which numbers of a strip go into a report: the means, what body size makes of them, and the beats."""

import math
from dataclasses import dataclass

from dicom_node.report.quantities import LV_MASS_INDEX, QUANTITIES, Quantity, known
from inference.types import CycleMeasurement, Patient, StripResult


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One number on its way into a report, with the beats that it was measured in."""

    quantity: Quantity
    value: float
    beats: tuple[CycleMeasurement, ...]
    ci95: tuple[float, float] | None = None
    """None for the number of a single beat beside the mean."""

    @property
    def is_mean(self) -> bool:
        """True for the mean of several beats."""
        return len(self.beats) > 1


def reported(result: StripResult, patient: Patient) -> list[Reported]:
    """Return the means of a strip in the order of `QUANTITIES`; what is unknown is left out."""
    beats = tuple(result.cycles[index] for index in result.used)
    means = [
        Reported(quantity=quantity, value=value, beats=beats, ci95=result.measurements[quantity.key].ci95)
        for quantity in QUANTITIES
        if (value := known(result, quantity)) is not None
    ]
    return [each for mean in means for each in (mean, *_indexed(mean, patient))]


def of_each_beat(result: StripResult) -> list[Reported]:
    """Return the numbers of every beat of a mean, beat by beat; none when there is only one."""
    if len(result.used) == 1:
        return []
    return [
        Reported(quantity=quantity, value=cycle.values[quantity.key], beats=(cycle,))
        for cycle in (result.cycles[index] for index in result.used)
        for quantity in QUANTITIES
        if math.isfinite(cycle.values.get(quantity.key, math.nan))
    ]


def _indexed(mean: Reported, patient: Patient) -> list[Reported]:
    """Return LV mass over body surface; nothing for other values, and for a patient of unknown size."""
    surface_m2 = patient.body_surface_m2
    if mean.quantity.key != "LVmass_g" or mean.ci95 is None or surface_m2 is None:
        return []
    low, high = mean.ci95
    ci95 = (low / surface_m2, high / surface_m2)
    return [Reported(quantity=LV_MASS_INDEX, value=mean.value / surface_m2, beats=mean.beats, ci95=ci95)]
