"""Did the SR and the overlay arrive, and do they say what they should?"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from dicom_node.tools.demo.study import Study

CONCEPTS = {
    "18154-5": "IVSd_cm",
    "29436-3": "LVIDd_cm",
    "18152-9": "LVPWd_cm",
    "18158-6": "IVSs_cm",
    "29438-9": "LVIDs_cm",
    "18156-0": "LVPWs_cm",
    "18051-3": "FS_percent",
    "18026-5": "EDV_ml",
    "18148-7": "ESV_ml",
    "90096001": "SV_ml",
    "18043-0": "EF_percent",
}
"""Codes of TID 5200's measurements, read here as any other system would read them."""
TOLERANCES = {"LVIDd_cm": 0.5, "LVIDs_cm": 0.5, "EF_percent": 12.0}
"""How far the shipped weights may be from the phantom's truth before something must be broken."""


def numbers(sr: Dataset) -> dict[str, float]:
    """Every measurement of the report that the demo knows, by name."""
    found = {}
    for item in content_items(sr):
        if item.get("ValueType") == "NUM" and item.get("MeasuredValueSequence"):
            name = CONCEPTS.get(item.ConceptNameCodeSequence[0].CodeValue)
            if name:
                found[name] = float(item.MeasuredValueSequence[0].NumericValue)
    return found


def content_items(item: Dataset) -> Iterator[Dataset]:
    """The item itself and everything below it."""
    yield item
    for child in item.get("ContentSequence", ()):
        yield from content_items(child)


def of_class(received: Iterable[Dataset], sop_class: str) -> list[Dataset]:
    """The data sets of one SOP class."""
    return [ds for ds in received if sop_class == ds.SOPClassUID]


def complaints_about(study: Study, received: Mapping[Path, Dataset]) -> list[str]:
    """What is wrong with what the PACS holds; empty when all is well."""
    reports = of_class(received.values(), ComprehensiveSRStorage)
    overlays = of_class(received.values(), SecondaryCaptureImageStorage)
    if len(reports) != 1 or len(overlays) != 1:
        return [f"the PACS holds {len(reports)} SR and {len(overlays)} overlays instead of one each"]
    source, found = study.left_ventricle, numbers(reports[0])
    complaints = [f"the SR does not report {name}" for name in CONCEPTS.values() if name not in found]
    complaints += [
        f"{name} is {found[name]}, the phantom's is {study.truth[name]:.2f}"
        for name, tolerance in TOLERANCES.items()
        if name in found and abs(found[name] - study.truth[name]) > tolerance
    ]
    if (overlays[0].Rows, overlays[0].Columns) != (source.Rows, source.Columns):
        complaints.append("the overlay is not of the source's size")
    if any(ds.StudyInstanceUID != source.StudyInstanceUID for ds in (*reports, *overlays)):
        complaints.append("a result is not in the study it came from")
    return complaints
