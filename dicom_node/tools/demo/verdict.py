"""The check of the SR and the overlay that the demo's PACS received."""

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
"""Key of each measurement in the TID 5200 report by its code value, independent of the `report` room."""
TOLERANCES = {"LVIDd_cm": 0.5, "LVIDs_cm": 0.5, "EF_percent": 12.0}
"""Largest difference to the phantom's truth with the shipped weights."""


def numbers(sr: Dataset) -> dict[str, float]:
    """Return the measurements of a report whose codes are in `CONCEPTS`, by key."""
    found = {}
    for item in content_items(sr):
        if item.get("ValueType") == "NUM" and item.get("MeasuredValueSequence"):
            name = CONCEPTS.get(item.ConceptNameCodeSequence[0].CodeValue)
            if name:
                found[name] = float(item.MeasuredValueSequence[0].NumericValue)
    return found


def content_items(item: Dataset) -> Iterator[Dataset]:
    """Yield a content item and all items below it."""
    yield item
    for child in item.get("ContentSequence", ()):
        yield from content_items(child)


def of_class(received: Iterable[Dataset], sop_class: str) -> list[Dataset]:
    """Return the data sets of one SOP class."""
    return [ds for ds in received if sop_class == ds.SOPClassUID]


def errors_of(study: Study, received: Mapping[Path, Dataset]) -> list[str]:
    """Return the errors in what the PACS received; an empty list if there are none."""
    reports = of_class(received.values(), ComprehensiveSRStorage)
    overlays = of_class(received.values(), SecondaryCaptureImageStorage)
    if len(reports) != 1 or len(overlays) != 1:
        return [f"the PACS holds {len(reports)} SR and {len(overlays)} overlays instead of one each"]
    source, found = study.left_ventricle, numbers(reports[0])
    errors = [f"the SR does not report {name}" for name in CONCEPTS.values() if name not in found]
    errors += [
        f"{name} is {found[name]}, the phantom's is {study.truth[name]:.2f}"
        for name, tolerance in TOLERANCES.items()
        if name in found and abs(found[name] - study.truth[name]) > tolerance
    ]
    if (overlays[0].Rows, overlays[0].Columns) != (source.Rows, source.Columns):
        errors.append("the overlay is not of the source's size")
    if any(ds.StudyInstanceUID != source.StudyInstanceUID for ds in (*reports, *overlays)):
        errors.append("a result is not in the study it came from")
    return errors
