"""The attributes that all result objects share: patient, study, equipment, times, file meta information."""

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
from dicom_node.report.source import inherited


def result_header(source: Dataset, context: ReportContext, *, kind: str, part: str = "") -> Dataset:
    """Return a data set with the attributes that do not depend on the kind of object.

    The SOP Instance UID derives from source instance, kind, model, revision, variant and part; the Series
    Instance UID from the source series and the kind only, so that all revisions are in one series.

    Args:
        source: the normalised header of the source image.
        context: model, revision and time.
        kind: of the object, see `store.rows.results.Kind`.
        part: distinguishes objects of one kind and source, such as overlays of several frames.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = source.SpecificCharacterSet
    for element in inherited(source):
        ds.add(element)
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
    """Return a reference to the source image (PS3.3 10.8), or to one of its frames, counted from 0."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    if frame is not None and (number := frame_number(source, frame)) is not None:
        item.ReferencedFrameNumber = number
    return item


def frame_number(source: Dataset, frame: int) -> int | None:
    """Return the number from 1 (PS3.3 10.3) of a frame counted from 0; None in a single-frame image."""
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
    """Set the equipment: this node with its model, and the machine that made the source image."""
    model = context.model
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    ds.DeviceSerialNumber = context.installation_uid
    # The digest has the 64 characters that LO allows; as the last value it might be padded to 65.
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
