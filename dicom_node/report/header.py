"""What every result object of ours has in common: patient, study, equipment, times, file meta."""

import io
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node import __version__
from dicom_node.identity import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    MANUFACTURER,
    MODEL_NAME,
    derived_uid,
)
from dicom_node.report import codes
from dicom_node.report.context import ReportContext
from dicom_node.report.source import INHERITED


def result_header(source: Dataset, context: ReportContext, *, kind: str, part: str = "") -> Dataset:
    """Return a data set with all that does not depend on the kind of object; `source` is normalised.

    The UIDs derive from the source instance, the model, the kind, the revision, the manner and
    `part`, which tells apart several objects of one kind from one source. Later revisions, by a
    newer model too, share the series.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = source.SpecificCharacterSet
    for keyword in INHERITED:
        if keyword in source:
            ds.add(source[keyword])
    made = (context.model.sha256, str(context.revision), context.plan.variant)
    ds.SOPInstanceUID = derived_uid(kind, source.SOPInstanceUID, *made, part)
    ds.SeriesInstanceUID = derived_uid(kind, source.StudyInstanceUID, source.SeriesInstanceUID)
    ds.InstanceNumber = 1000 * (context.revision - 1) + int(source.get("InstanceNumber") or 1)
    _equip(ds, source, context)
    _date(ds, source, context.at)
    return ds


def code_item(code: Code) -> Dataset:
    """Return `code` as an item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = (
        code.value,
        code.scheme_designator,
        code.meaning,
    )
    return item


def reference(source: Dataset, frame: int | None = None) -> Dataset:
    """Return a reference to the source image, or to one frame of it, from 0 (PS3.3 10.8)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    if frame is not None and (number := frame_number(source, frame)) is not None:
        item.ReferencedFrameNumber = number
    return item


def frame_number(source: Dataset, frame: int) -> int | None:
    """Return the number, from 1, that names a frame (PS3.3 10.3); None in a source that has only one."""
    return frame + 1 if int(source.get("NumberOfFrames") or 1) > 1 else None


def file_bytes(ds: Dataset) -> bytes:
    """Return `ds` as a complete DICOM file, Explicit VR Little Endian."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _equip(ds: Dataset, source: Dataset, context: ReportContext) -> None:
    """Say that we made the object, with which model, and which machine took the source image."""
    model = context.model
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    ds.DeviceSerialNumber = context.installation_uid
    # The digest has all 64 characters an LO may have: it is not last, so that padding cannot make it 65.
    ds.SoftwareVersions = [__version__, model.sha256, f"{model.name} {model.version}"]
    scanner = Dataset()
    scanner.PurposeOfReferenceCodeSequence = [code_item(codes.ACQUISITION_EQUIPMENT)]
    scanner.Manufacturer = source.get("Manufacturer", "")
    for keyword in (
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "SoftwareVersions",
        "StationName",
        "InstitutionName",
    ):
        if source.get(keyword):
            scanner.add(source[keyword])
    if scanner.Manufacturer:  # type 1 in this sequence (PS3.3 C.12.1)
        ds.ContributingEquipmentSequence = [scanner]


def _date(ds: Dataset, source: Dataset, at: datetime) -> None:
    offset = source.get("TimezoneOffsetFromUTC")
    local = at
    if offset:
        ds.TimezoneOffsetFromUTC = offset
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        local = at.astimezone(timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes)))
    day, time = local.strftime("%Y%m%d"), local.strftime("%H%M%S.%f")
    ds.InstanceCreationDate = ds.ContentDate = day
    ds.InstanceCreationTime = ds.ContentTime = time
