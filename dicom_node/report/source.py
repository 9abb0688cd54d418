"""The attributes of the source image that result objects copy, with illegal values emptied."""

import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Final

import structlog
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_node.report.legal import is_legal, shortened
from dicom_node.report.objects import UnreportableSource
from inference.image.attributes import MALFORMED

log = structlog.get_logger()

# Patient, General Study and Patient Study modules (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2).
INHERITED: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "EthnicGroup",
    "PatientSpeciesDescription",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
    "ProcedureCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
)
# Attributes of the image itself and of the machine that made it.
REFERRED: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PhotometricInterpretation",
    "RequestAttributesSequence",
    "TimezoneOffsetFromUTC",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "StationName",
    "InstitutionName",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "SequenceOfUltrasoundRegions",
)
TYPE_2: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
TYPE_1: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")

IDENTITY: Final = ("PatientName", "PatientID", "IssuerOfPatientID")
"""Attributes that are copied unchanged or make the source unreportable."""
SHORTENED: Final = (
    "StudyDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "StationName",
    "InstitutionName",
)
"""Descriptive texts, which are cut if they are too long."""


def normalised_header(source: Dataset, default_charset: str = "ISO_IR 100") -> Dataset:
    """Return the attributes of `source` that result objects copy or refer to, with decoded texts.

    Type 2 attributes of every result are present, empty if the source lacks them. Illegal values are
    left out and logged. Texts are decoded from the source's Specific Character Set, or else from
    `default_charset`, to be written as ISO_IR 192.

    Raises:
        UnreportableSource: a UID is missing, or an attribute of `IDENTITY` is illegal.
    """
    charset = source.get("SpecificCharacterSet") or default_charset
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in INHERITED + REFERRED:
        _copy(source, header, keyword, charset)
    missing = [keyword for keyword in TYPE_1 if not header.get(keyword)]
    if missing:
        raise UnreportableSource(f"the source image has no {', '.join(missing)}")
    for keyword in TYPE_2:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _copy(source: Dataset, header: Dataset, keyword: str, charset: str | Sequence[str]) -> None:
    """Copy one attribute with decoded texts; an unreadable or illegal value is left out, cut or an error."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source:
        return
    try:
        with warnings.catch_warnings():  # pydicom's, which quote the value
            warnings.simplefilter("ignore")
            element = _decoded(source, tag, charset)
            legal = is_legal(keyword, element.value)
    except MALFORMED:
        element, legal = None, False
    if legal:
        header.add(element)
    elif keyword in IDENTITY:
        raise UnreportableSource(f"{keyword} of the source image is no legal value")
    elif keyword in SHORTENED and isinstance(getattr(element, "value", None), str):
        setattr(header, keyword, shortened(keyword, element.value))
    else:
        log.warning("report.source_value_dropped", keyword=keyword)


def _decoded(source: Dataset, tag: int, charset: str | Sequence[str]) -> DataElement:
    """Return a copy of one element with decoded texts, also in nested items."""
    single = Dataset()
    single.SpecificCharacterSet = charset
    single[tag] = deepcopy(source.get_item(tag))
    single.decode()
    return single[tag]
