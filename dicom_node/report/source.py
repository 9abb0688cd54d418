"""The source image's header, in a form that result objects can carry.

Identity is copied, never retyped: only what cannot be legal in a new object is emptied.
"""

import re
import warnings
from copy import deepcopy
from datetime import datetime
from typing import Final

import structlog
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from inference.attributes import MALFORMED

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

_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?")
_INTEGER = re.compile(r"[+-]?\d{1,9}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LEGAL: Final = {
    "PatientSex": re.compile(r"[MFO]"),
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    "PatientSize": _DECIMAL,
    "PatientWeight": _DECIMAL,
    "InstanceNumber": _INTEGER,
    "NumberOfFrames": _INTEGER,
    "PatientIdentityRemoved": re.compile(r"YES|NO"),
    "StudyTime": _TIME,
    "PatientBirthTime": _TIME,
    "TimezoneOffsetFromUTC": re.compile(r"[+-](0\d|1[0-4])[0-5]\d"),
}
_DATES: Final = ("PatientBirthDate", "StudyDate")


class IncompleteSourceError(ValueError):
    """The source image lacks a UID, so no object can refer to it."""


def normalised_header(source: Dataset) -> Dataset:
    """Return the part of `source` that result objects carry or refer to, decoded, without pixels.

    Attributes that every result must have (type 2) are present, empty where the source has none;
    values that are illegal in DICOM are emptied and logged. Texts are decoded from whatever
    character set the source declares, ready to be written as ISO_IR 192.

    Raises:
        IncompleteSourceError: a UID is missing.
    """
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in INHERITED + REFERRED:
        _copy(source, header, keyword)
    missing = [keyword for keyword in TYPE_1 if not header.get(keyword)]
    if missing:
        raise IncompleteSourceError(f"the source image has no {', '.join(missing)}")
    for keyword in TYPE_2:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _copy(source: Dataset, header: Dataset, keyword: str) -> None:
    """Copy one attribute, decoded; an unreadable or illegal value is left behind."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source:
        return
    try:
        with warnings.catch_warnings():  # pydicom warns of every oddity; ours is to copy it or to leave it
            warnings.simplefilter("ignore")
            element = _decoded(source, tag)
            legal = _is_legal(keyword, element.value)
    except MALFORMED:
        legal = False
    if legal:
        header.add(element)
    else:
        log.warning("report.source_value_dropped", keyword=keyword)


def _decoded(source: Dataset, tag: int) -> DataElement:
    """Return a copy of one element whose texts, nested ones too, no longer depend on a character set."""
    single = Dataset()
    if "SpecificCharacterSet" in source:
        single.SpecificCharacterSet = source.SpecificCharacterSet
    single.add(deepcopy(source[tag]))
    single.decode()
    return single[tag]


def _is_legal(keyword: str, value: object) -> bool:
    text = str(value or "").strip()
    if not text:
        return True
    if keyword in _DATES:
        return len(text) == len("YYYYMMDD") and bool(datetime.strptime(text, "%Y%m%d"))  # noqa: DTZ007 (a day has no zone)
    pattern = _LEGAL.get(keyword)
    return pattern is None or pattern.fullmatch(text) is not None
