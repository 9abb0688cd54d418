"""The content tree of an Echocardiography Procedure Report (PS3.16 TID 5200)."""

from collections.abc import Sequence

from highdicom.sr import CodeContentItem, ContainerContentItem, NumContentItem
from pydicom.dataset import Dataset

from dicom_node.report import codes, items
from dicom_node.report.context import ReportContext
from dicom_node.report.refusals import gaps
from dicom_node.report.reported import ReportedValue, reported_values, values_of_each_beat
from inference.image.patient import patient_of
from inference.types import StripResult


def echo_report(
    source: Dataset, results: Sequence[StripResult], context: ReportContext
) -> ContainerContentItem:
    """Return the root container with one measurement group of the left ventricle per measured strip."""
    root = ContainerContentItem(codes.ADULT_ECHO_REPORT, is_content_continuous=False, template_id="5200")
    groups = [_measurement_group(source, result, context) for result in results if result.measured]
    site = CodeContentItem(codes.FINDING_SITE, codes.LEFT_VENTRICLE, items.MODIFIER)
    root.ContentSequence = [
        items.language(),
        *items.observer(context.installation_uid),
        *items.patient_characteristics(patient_of(source)),
        items.container(codes.FINDINGS, [site, *groups]),  # TID 5202
    ]
    return root


def _measurement_group(source: Dataset, result: StripResult, context: ReportContext) -> ContainerContentItem:
    """Return the values of a strip, followed by those of every beat with `per_beat`."""
    numbers = reported_values(result, patient_of(source))
    if context.plan.per_beat:
        numbers += values_of_each_beat(result)
    return items.container(
        codes.MEASUREMENT_GROUP,
        [
            CodeContentItem(codes.IMAGE_MODE, codes.M_MODE, items.MODIFIER),
            *items.algorithm(context.model, *gaps(result)),
            *(_measurement(source, result.frame, each) for each in numbers),
        ],
    )


def _measurement(source: Dataset, frame: int, each: ReportedValue) -> NumContentItem:
    """Return one NUM (TID 5203, TID 300) with method, derivation, selection status and sources."""
    children = [
        *items.method(each.quantity),
        *items.derivation(each),
        *items.selection(each),
        *items.sources(source, frame, each),
    ]
    return items.number(each, each.quantity.concept, children)
