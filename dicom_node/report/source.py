"""The source image's header, in a form that result objects can carry.

Identity is copied, never retyped: only what cannot be legal in a new object is emptied.
"""

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
# What else of the source a result object speaks about: the image itself and the machine that took it.
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
"""Whose results these are: what cannot be written as it is must not be written otherwise."""
SHORTENED: Final = (
    "StudyDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "StationName",
    "InstitutionName",
)
"""Texts for human readers: the start of one too long is better than nothing."""


def normalised_header(source: Dataset, default_charset: str = "ISO_IR 100") -> Dataset:
    """Return the part of `source` that result objects carry or refer to, decoded, without pixels.

    Attributes that every result must have (type 2) are present, empty where the source has none;
    values that are illegal in DICOM are emptied and logged. Texts are decoded from whatever
    character set the source declares, ready to be written as ISO_IR 192; `default_charset` is that
    of 8-bit texts in a source that declares none.

    Raises:
        UnreportableSource: a UID is missing, or the patient's name or ID cannot be copied.
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
    """Copy one attribute, decoded; an unreadable or illegal value is left behind, unless it is identity."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source:
        return
    try:
        with warnings.catch_warnings():  # pydicom warns of every oddity; ours is to copy it or to leave it
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
    """Return a copy of one element whose texts, nested ones too, no longer depend on a character set."""
    single = Dataset()
    single.SpecificCharacterSet = charset
    single[tag] = deepcopy(source.get_item(tag))
    single.decode()
    return single[tag]
