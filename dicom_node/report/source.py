"""The attributes of a source image that results copy or refer to, legal and with decoded texts."""

from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_node.report.corrections import Corrections
from dicom_node.report.legal import fault_of
from dicom_node.report.legal_copy import LegalCopy
from dicom_node.report.objects import UnreportableSource
from dicom_node.report.source_attributes import (
    COPIED_OF_ANIMALS,
    INHERITED,
    OF_ANIMALS,
    REFERRED,
    TYPE_1,
    TYPE_2,
)
from dicom_node.report.text import TextReader
from inference.image.attributes import attribute

COPIED_FROM_KEPT = ("PatientComments",)
"""What holds an identity that could not be copied as it is."""


def normalised_header(
    source: Dataset, default_charset: str = "ISO_IR 100", corrections: Corrections | None = None
) -> Dataset:
    """Return the attributes of `source` that result objects copy or refer to, with decoded texts.

    Type 2 attributes of every result are present, empty if the source lacks them. No value is illegal:
    one that was is rewritten, left out, or kept in a comment, and stands in `corrections`. Texts are
    decoded by `text.TextReader`, to be written as ISO_IR 192.

    Raises:
        UnreportableSource: a UID is missing or is none, so that nothing can refer to the image.
    """
    found = Corrections() if corrections is None else corrections
    reader = TextReader(attribute(source, "SpecificCharacterSet"), default_charset)
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    copy = LegalCopy(reader, default_charset, found)
    for keyword in INHERITED + REFERRED:
        copy.attribute(source, header, keyword)
    missing = [keyword for keyword in TYPE_1 if not header.get(keyword)]
    if missing:
        raise UnreportableSource(f"the source image has no {', '.join(missing)}")
    for keyword in TYPE_2:
        if keyword not in header:
            setattr(header, keyword, "")
    if header.get("PatientSpeciesDescription"):
        _describe_animal(source, header, copy)
    _explain_removal(header)
    return header


def inherited(header: Dataset) -> Iterator[DataElement]:
    """Yield the elements that every result copies from the normalised header.

    A height in centimetres is none of them: PatientSize is in metres. It counts in the report's text.
    """
    for keyword in (*INHERITED, *OF_ANIMALS, *COPIED_FROM_KEPT):
        if keyword not in header:
            continue
        element = header[keyword]
        if keyword != "PatientSize" or not fault_of(keyword, "DS", str(element.value or "")):
            yield element


def _describe_animal(source: Dataset, header: Dataset, copy: LegalCopy) -> None:
    """Set what an object must say of a patient whose species it names, empty if nothing is known."""
    for keyword in COPIED_OF_ANIMALS:
        copy.attribute(source, header, keyword)
    for keyword in OF_ANIMALS:
        if keyword not in header:
            setattr(header, keyword, [] if keyword.endswith("Sequence") else "")


def _explain_removal(header: Dataset) -> None:
    """Say that the method of de-identification is unknown, where one must be named (PS3.3 C.7.1.1)."""
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if header.get("PatientIdentityRemoved") == "YES" and not any(header.get(each) for each in methods):
        header.DeidentificationMethod = "not legible in the source image"
