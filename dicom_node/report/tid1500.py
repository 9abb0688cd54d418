"""The content tree of a Measurement Report (PS3.16 TID 1500) after the IHE profile AI Results."""

from collections.abc import Sequence
from typing import Final

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    ObservationContext,
    QualitativeEvaluation,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset

from dicom_node.identity import derived_uid
from dicom_node.report import codes, items
from dicom_node.report.context import ReportContext
from dicom_node.report.refusals import gaps, refusal_of
from dicom_node.report.reported import ReportedValue, reported_values
from inference.image.patient import patient_of
from inference.types import StripResult

INTERVAL: Final = "uncertainty ranges are the 95 % interval of each value"


def measurement_report(
    source: Dataset, results: Sequence[StripResult], context: ReportContext
) -> ContainerContentItem:
    """Return the root container with a measurement group per strip, which holds numbers or a reason."""
    groups = [_group(source, result, context) for result in results]
    (root,) = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=items.observer(context.installation_uid)
        ),
        procedure_reported=codes.TRANSTHORACIC_ECHO,
        title=codes.IMAGING_MEASUREMENT_REPORT,
        imaging_measurements=groups,
    )
    return root


def _group(
    source: Dataset, result: StripResult, context: ReportContext
) -> MeasurementsAndQualitativeEvaluations:
    """Return TID 1501 of one strip, with the code of the reason if it, or a value, was not measured.

    TID 300 asks for a value: what is withheld has no item of its own here.
    """
    numbers = reported_values(result, patient_of(source)) if result.measured else []
    refusal = refusal_of(result)
    reason = codes.INDETERMINATE if result.withheld else None if refusal is None else refusal.code
    evaluations = [] if reason is None else [QualitativeEvaluation(codes.QUANTITATIVE_ANALYSIS, reason)]
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(source, result, "left ventricle"),
        finding_type=codes.LEFT_VENTRICLE,
        finding_sites=[FindingSite(codes.LEFT_VENTRICLE)],
        algorithm_id=items.algorithm(
            context.model, INTERVAL, *gaps(result), family=codes.ARTIFICIAL_INTELLIGENCE
        ),
        measurements=[
            _measurement(source, result, each, each.value) for each in numbers if each.value is not None
        ],
        qualitative_evaluations=evaluations,
    )


def _tracking(source: Dataset, result: StripResult, what: str) -> TrackingIdentifier:
    """Return the identifiers of a quantity in a strip, the same in every revision and with every model."""
    index = result.region.index if result.region is not None else 0
    return TrackingIdentifier(
        uid=derived_uid("tracking", source.SOPInstanceUID, str(index), what),
        identifier=f"{what}, region {index + 1}",
    )


def _measurement(source: Dataset, result: StripResult, each: ReportedValue, value: float) -> Measurement:
    """Return TID 300 of one value, with image mode and interval, which highdicom does not add."""
    measurement = Measurement(
        name=each.quantity.concept,
        value=each.quantity.rounded(value),
        unit=each.quantity.unit,
        tracking_identifier=_tracking(source, result, each.quantity.label),
        derivation=codes.MEAN if each.is_mean else None,
        method=each.quantity.method,
    )
    mode = CodeContentItem(codes.IMAGE_MODE, codes.M_MODE, items.MODIFIER)
    children: list[ContentItem] = [mode, *_interval(each, value), *items.sources(source, result.frame, each)]
    measurement[0].ContentSequence.extend(children)
    return measurement


def _interval(each: ReportedValue, value: float) -> list[NumContentItem]:
    """Return the distance of both ends of the 95 % interval from the value, in its unit (TID 310, CID 225).

    Not TID 311, which describes a population and not one measurement.
    """
    if each.ci95 is None:
        return []
    shown, unit = each.quantity.rounded(value), each.quantity.unit
    ranges = {
        codes.UPPER_UNCERTAINTY: each.quantity.rounded(each.ci95[1]) - shown,
        codes.LOWER_UNCERTAINTY: shown - each.quantity.rounded(each.ci95[0]),
    }
    return [
        NumContentItem(concept, each.quantity.rounded(width), unit, relationship_type=items.PROPERTY)
        for concept, width in ranges.items()
    ]
