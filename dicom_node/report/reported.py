"""The numbers of a strip in a report: means, indexed values, and those of each beat."""

import math
from dataclasses import dataclass

from dicom_node.report.quantities import LV_MASS_INDEX, QUANTITIES, Quantity, known
from inference.types import CycleMeasurement, Patient, StripResult


@dataclass(frozen=True, kw_only=True)
class ReportedValue:
    """One number of a report, with the beats in which it was measured."""

    quantity: Quantity
    value: float | None
    """None if it is withheld: the report then has a coded reason in its place."""
    beats: tuple[CycleMeasurement, ...]
    ci95: tuple[float, float] | None = None
    """95 % interval; None for the number of a single beat besides the mean."""

    @property
    def is_mean(self) -> bool:
        """True for the mean of several beats."""
        return self.value is not None and len(self.beats) > 1


def reported_values(result: StripResult, patient: Patient) -> list[ReportedValue]:
    """Return the known and the withheld values of a strip in the order of `QUANTITIES`.

    They are means if several beats were used.
    """
    beats = tuple(result.cycles[index] for index in result.used)
    means = [
        ReportedValue(quantity=quantity, value=value, beats=beats, ci95=_interval(result, quantity))
        for quantity in QUANTITIES
        if (value := known(result, quantity)) is not None or quantity.key in result.withheld
    ]
    return [each for mean in means for each in (mean, *_indexed(mean, patient))]


def values_of_each_beat(result: StripResult) -> list[ReportedValue]:
    """Return the numbers of every beat of a mean, beat by beat; an empty list if only one beat was used."""
    if len(result.used) == 1:
        return []
    return [
        ReportedValue(quantity=quantity, value=cycle.values[quantity.key], beats=(cycle,))
        for cycle in (result.cycles[index] for index in result.used)
        for quantity in QUANTITIES
        if quantity.key not in result.withheld and math.isfinite(cycle.values.get(quantity.key, math.nan))
    ]


def _interval(result: StripResult, quantity: Quantity) -> tuple[float, float] | None:
    found = result.measurements.get(quantity.key)
    return None if found is None else found.ci95


def _indexed(mean: ReportedValue, patient: Patient) -> list[ReportedValue]:
    """Return LV mass over body surface area; an empty list for other quantities or unknown body size."""
    surface_m2 = patient.body_surface_m2
    if mean.quantity.key != "LVmass_g" or mean.value is None or mean.ci95 is None or surface_m2 is None:
        return []
    low, high = mean.ci95
    ci95 = (low / surface_m2, high / surface_m2)
    return [ReportedValue(quantity=LV_MASS_INDEX, value=mean.value / surface_m2, beats=mean.beats, ci95=ci95)]
