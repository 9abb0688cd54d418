"""The SR documents (PS3.3 A.35.3, A.35.13, A.35.18): the attributes outside of the content tree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from highdicom.sr import ContainerContentItem
from pydicom.dataset import Dataset
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage, SimplifiedAdultEchoSRStorage

from dicom_node.identity import CODING_SCHEME_DESIGNATOR, CODING_SCHEME_UID, MANUFACTURER
from dicom_node.report.context import ReportContext
from dicom_node.report.header import reference, result_header
from dicom_node.report.objects import Predecessor
from dicom_node.report.quantities import QUANTITIES, known
from dicom_node.report.refusals import gaps
from dicom_node.report.snomed import use_retired_codes
from dicom_node.report.source_attributes import FILLER_NUMBER, ORDER_COMMENTS
from dicom_node.report.tid1500 import measurement_report
from dicom_node.report.tid5200 import echo_report
from dicom_node.report.tid5300 import simplified_report
from dicom_node.settings.fields import SRTemplate
from inference.types import StripResult

Tree = Callable[[Dataset, Sequence[StripResult], ReportContext], ContainerContentItem]
"""Builds the root of a content tree from the normalised header, the strips and the context."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """The properties of the reports of one template."""

    sop_class: UID
    series_number: int
    tree: Tree
    series_description: str
    needs_time_zone: bool = False
    """The Timezone module is mandatory (PS3.3 A.35.18)."""


DOCUMENTS: Final[Mapping[SRTemplate, Document]] = {
    "tid5200": Document(
        sop_class=ComprehensiveSRStorage,
        series_number=9001,
        tree=echo_report,
        series_description="M-mode LV measurements (SR)",
    ),
    "tid1500": Document(
        sop_class=Comprehensive3DSRStorage,
        series_number=9002,
        tree=measurement_report,
        series_description="M-mode LV measurements (TID 1500)",
    ),
    "tid5300": Document(
        sop_class=SimplifiedAdultEchoSRStorage,
        series_number=9004,
        tree=simplified_report,
        series_description="M-mode LV measurements (TID 5300)",
        needs_time_zone=True,
    ),
}


def structured_report(
    template: SRTemplate,
    source: Dataset,
    results: Sequence[StripResult],
    context: ReportContext,
    predecessor: Predecessor | None = None,
) -> Dataset:
    """Return the SR of one source image with its strips, always PRELIMINARY and UNVERIFIED.

    `source` is the normalised header.
    """
    document = DOCUMENTS[template]
    ds = result_header(source, context, kind=template)
    ds.SOPClassUID, ds.Modality = document.sop_class, "SR"
    ds.SeriesNumber, ds.SeriesDescription = document.series_number, document.series_description
    if document.needs_time_zone and "TimezoneOffsetFromUTC" not in ds:
        ds.TimezoneOffsetFromUTC = context.at.strftime("%z")
    _state(ds, source, results, predecessor)
    ds.update(document.tree(source, results, context))
    if context.plan.snomed == "SRT":
        use_retired_codes(ds)
    return ds


def _state(
    ds: Dataset, source: Dataset, results: Sequence[StripResult], predecessor: Predecessor | None
) -> None:
    """Set the SR Document General module: flags, request, evidence, predecessor (PS3.3 C.17.2)."""
    ds.CompletionFlag = "COMPLETE" if _complete(results) else "PARTIAL"
    if missing := gaps(*results):
        ds.CompletionFlagDescription = missing[0]
    ds.PreliminaryFlag, ds.VerificationFlag = "PRELIMINARY", "UNVERIFIED"
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    if requests := _requests(source):
        ds.ReferencedRequestSequence = requests
    ds.CurrentRequestedProcedureEvidenceSequence = [
        _document_reference(source.StudyInstanceUID, source.SeriesInstanceUID, reference(source))
    ]
    if predecessor is not None:
        ds.PredecessorDocumentsSequence = [_predecessor_reference(predecessor)]
    ds.CodingSchemeIdentificationSequence = [_own_coding_scheme()]


def _complete(results: Sequence[StripResult]) -> bool:
    """Tell whether every strip has every quantity; with a refused strip the document is PARTIAL."""
    return all(known(result, quantity) is not None for result in results for quantity in QUANTITIES)


def _requests(source: Dataset) -> list[Dataset]:
    """Return Referenced Request items; all their attributes but Study Instance UID are type 2."""
    has_number = any(source.get(each) for each in ("AccessionNumber", FILLER_NUMBER, ORDER_COMMENTS))
    orders = source.get("RequestAttributesSequence") or ([Dataset()] if has_number else [])
    return [_request(source, order) for order in orders]


def _request(source: Dataset, order: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = source.StudyInstanceUID
    item.ReferencedStudySequence = []
    item.AccessionNumber = order.get("AccessionNumber") or source.AccessionNumber
    item.PlacerOrderNumberImagingServiceRequest = ""
    item.FillerOrderNumberImagingServiceRequest = order.get(FILLER_NUMBER) or source.get(FILLER_NUMBER) or ""
    item.RequestedProcedureID = order.get("RequestedProcedureID") or ""
    item.RequestedProcedureDescription = order.get("RequestedProcedureDescription") or ""
    item.RequestedProcedureCodeSequence = order.get("RequestedProcedureCodeSequence", [])
    if comments := [each.get(ORDER_COMMENTS) for each in (source, order) if each.get(ORDER_COMMENTS)]:
        item.RequestedProcedureComments = "; ".join(dict.fromkeys(comments))
    return item


def _predecessor_reference(predecessor: Predecessor) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = predecessor.sop_class_uid
    item.ReferencedSOPInstanceUID = predecessor.sop_instance_uid
    return _document_reference(predecessor.study_uid, predecessor.series_instance_uid, item)


def _document_reference(study_uid: str, series_uid: str, instance: Dataset) -> Dataset:
    """Return a study item of a Hierarchical SOP Instance Reference (PS3.3 C.17.2.1)."""
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = series_uid, [instance]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = study_uid, [series]
    return study


def _own_coding_scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeUID = CODING_SCHEME_DESIGNATOR, CODING_SCHEME_UID
    item.CodingSchemeName = "echonode private codes"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    return item
