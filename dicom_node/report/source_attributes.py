"""The attributes of a source image that results copy or refer to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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
OF_ANIMALS: Final = (
    "PatientSexNeutered",
    "PatientBreedDescription",
    "PatientBreedCodeSequence",
    "BreedRegistrationSequence",
    "ResponsiblePerson",
    "ResponsibleOrganization",
)
"""Type 2C, present in results if a species is named; copied of these are texts that stand alone."""
COPIED_OF_ANIMALS: Final = ("PatientSexNeutered", "PatientBreedDescription", "ResponsibleOrganization")
TYPE_1: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")

ORDER_COMMENTS: Final = "RequestedProcedureComments"
KEPT_ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PatientName": "PatientComments",
        "PatientID": "PatientComments",
        "IssuerOfPatientID": "PatientComments",
        "AccessionNumber": ORDER_COMMENTS,
        "RequestedProcedureID": ORDER_COMMENTS,
    }
)
"""What identifies patient or order and cannot be written as it is: the text (LT) that quotes it whole."""
FILLER_NUMBER: Final = "FillerOrderNumberImagingServiceRequest"
"""Where an accession number goes that is too long for SH: the department's number of the order, LO."""
ONLY_ITEMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "RequestAttributesSequence": (
            "AccessionNumber",
            "RequestedProcedureID",
            "RequestedProcedureDescription",
            "RequestedProcedureCodeSequence",
        )
    }
)
"""Sequences of which results use these attributes alone."""
NEEDED_IN_ITEMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"OtherPatientIDsSequence": ("PatientID", "TypeOfPatientID")}
)
"""Attributes without which an item is none."""
WHOLE: Final = frozenset({"SequenceOfUltrasoundRegions"})
"""Sequences that are copied whole or not at all, because their items are counted."""
