"""The Comprehensive SR document around the content tree (PS3.3 A.35.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from dicom_node.identity import CODING_SCHEME_DESIGNATOR, CODING_SCHEME_UID, MANUFACTURER
from dicom_node.report.header import Production, reference, result_header
from dicom_node.report.quantities import QUANTITIES, known
from dicom_node.report.tid5200 import echo_report
from inference.types import StripResult

SERIES_NUMBER = 9001


@dataclass(frozen=True, kw_only=True)
class Predecessor:
    """The document that a corrected one replaces."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_uid: str


def structured_report(
    source: Dataset,
    results: Sequence[StripResult],
    production: Production,
    predecessor: Predecessor | None = None,
) -> Dataset:
    """Return the SR of one source image with its measured strips; `source` is normalised.

    No human has seen it: UNVERIFIED and PRELIMINARY, always.
    """
    ds = result_header(source, production, kind="sr")
    ds.SOPClassUID, ds.Modality = ComprehensiveSRStorage, "SR"
    ds.SeriesNumber, ds.SeriesDescription = SERIES_NUMBER, "M-mode LV measurements (SR)"
    ds.CompletionFlag = "COMPLETE" if _complete(results) else "PARTIAL"
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
    ds.update(echo_report(source, results, production))
    return ds


def _complete(results: Sequence[StripResult]) -> bool:
    return all(known(result, quantity) is not None for result in results for quantity in QUANTITIES)


def _requests(source: Dataset) -> list[Dataset]:
    """Return what was ordered, as far as the source says; all attributes but the first are type 2."""
    asked = source.get("RequestAttributesSequence") or ([Dataset()] if source.AccessionNumber else [])
    return [_request(source, order) for order in asked]


def _request(source: Dataset, order: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = source.StudyInstanceUID
    item.ReferencedStudySequence = []
    item.AccessionNumber = order.get("AccessionNumber") or source.AccessionNumber
    item.PlacerOrderNumberImagingServiceRequest = ""
    item.FillerOrderNumberImagingServiceRequest = ""
    item.RequestedProcedureID = order.get("RequestedProcedureID", "")
    item.RequestedProcedureDescription = order.get("RequestedProcedureDescription", "")
    item.RequestedProcedureCodeSequence = order.get("RequestedProcedureCodeSequence", [])
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
