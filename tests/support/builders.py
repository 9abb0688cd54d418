"""Builders of DICOM data sets that every test shares.

Everything is deterministic: UIDs derive from the content, so two images of one test that have equal
pixels need a differing attribute (InstanceNumber, SOPInstanceUID, ...) to be two instances.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

STUDY_UID = generate_uid(entropy_srcs=["builders", "study"])
Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int16]


def texture(rows: int = 64, columns: int = 96, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return smooth (rows, columns) uint8 pixels that differ along both axes and per seed."""
    y, x = np.mgrid[0:rows, 0:columns]
    wave = np.sin(x / (7 + seed)) + np.cos(y / 5 + seed)
    pixels: NDArray[np.uint8] = np.rint((wave + 2) * 63).astype(np.uint8)
    return pixels


def region(
    x0: int,
    y0: int,
    x1: int,
    y1: int,
    *,
    spatial_format: int,
    units: tuple[int, int],
    deltas: tuple[float, float],
) -> Dataset:
    """Return one item of SequenceOfUltrasoundRegions (PS3.3 C.8.5.5); units and deltas are (x, y)."""
    item = Dataset()
    item.RegionSpatialFormat = spatial_format
    item.RegionDataType = 1
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = deltas
    return item


def mmode_region(
    x0: int, y0: int, x1: int, y1: int, *, cm_per_px: float = 0.04, s_per_px: float = 0.005
) -> Dataset:
    """Return an M-mode region: format 2, seconds to the right, centimetres down."""
    return region(x0, y0, x1, y1, spatial_format=2, units=(4, 3), deltas=(s_per_px, cm_per_px))


def tissue_region(x0: int, y0: int, x1: int, y1: int, *, cm_per_px: float = 0.05) -> Dataset:
    """Return a 2D region: format 1, centimetres along both axes."""
    return region(x0, y0, x1, y1, spatial_format=1, units=(3, 3), deltas=(cm_per_px, cm_per_px))


def us_image(pixels: Pixels, regions: Sequence[Dataset] | None = None, **attributes: Any) -> FileDataset:
    """Return an Ultrasound Image, multi-frame when `pixels` has frames.

    `pixels` is ([frames,] rows, columns[, 3]), a last axis of 3 meaning colour, and is written as it
    is; `attributes` (DICOM keywords) override everything, None removes. `regions=None` means one
    M-mode region over the whole image, `[]` means none.
    """
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    frames = pixels.shape[0] if pixels.ndim == 3 + colour else None
    ds = _header(
        UltrasoundImageStorage if frames is None else UltrasoundMultiFrameImageStorage,
        Modality="US",
        ImageType=["ORIGINAL", "PRIMARY", "", "0001"],
        SamplesPerPixel=3 if colour else 1,
        PhotometricInterpretation="RGB" if colour else "MONOCHROME2",
        LossyImageCompression="00",
    )
    ds.Rows, ds.Columns = (pixels.shape[:-1] if colour else pixels.shape)[-2:]
    if colour:
        ds.PlanarConfiguration = 0
    if frames is not None:
        ds.NumberOfFrames, ds.FrameTime, ds.FrameIncrementPointer = frames, 33.3, 0x00181063
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    data = pixels.tobytes()
    ds.add_new(0x7FE00010, "OB" if pixels.itemsize == 1 else "OW", data + b"\0" * (len(data) % 2))
    if regions is None:
        regions = [mmode_region(0, 0, ds.Columns - 1, ds.Rows - 1)]
    if regions:
        ds.SequenceOfUltrasoundRegions = list(regions)
    return _with_attributes(ds, attributes)


def image_2d(**attributes: Any) -> FileDataset:
    """Return a 2D ultrasound image without any M-mode region."""
    return us_image(texture(seed=3), [tissue_region(0, 0, 95, 63)], **attributes)


def secondary_capture(pixels: NDArray[np.uint8] | None = None, **attributes: Any) -> FileDataset:
    """Return a Secondary Capture image, which is no ultrasound image."""
    shown = texture(seed=4) if pixels is None else pixels
    own = {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT", "ConversionType": "WSD"}
    return us_image(shown, [], **own | attributes)


def vendor_sr(**attributes: Any) -> FileDataset:
    """Return a small Comprehensive SR as the ultrasound machine of the study would send it."""
    ds = _header(
        ComprehensiveSRStorage, Modality="SR", CompletionFlag="COMPLETE", VerificationFlag="UNVERIFIED"
    )
    ds.ContentDate, ds.ContentTime = ds.StudyDate, ds.StudyTime
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [_code("125200", "DCM", "Adult Echocardiography Procedure Report")]
    text = Dataset()
    text.RelationshipType, text.ValueType, text.TextValue = (
        "CONTAINS",
        "TEXT",
        "No regional wall motion abnormality.",
    )
    text.ConceptNameCodeSequence = [_code("121071", "DCM", "Finding")]
    ds.ContentSequence = [text]
    return _with_attributes(ds, attributes)


def presentation_state(image: Dataset, **attributes: Any) -> FileDataset:
    """Return a Grayscale Softcopy Presentation State that refers to `image`."""
    ds = _header(GrayscaleSoftcopyPresentationStateStorage, Modality="PR", ContentLabel="CALIPERS")
    ds.ContentDescription, ds.ContentCreatorName, ds.PresentationLUTShape = "", "", "IDENTITY"
    ds.PresentationCreationDate, ds.PresentationCreationTime = ds.StudyDate, ds.StudyTime
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        image.SOPClassUID,
        image.SOPInstanceUID,
    )
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = image.SeriesInstanceUID, [reference]
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [image.Columns, image.Rows]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    ds.ReferencedSeriesSequence, ds.DisplayedAreaSelectionSequence = [series], [area]
    return _with_attributes(ds, attributes)


def with_jpeg(ds: FileDataset, frames: Sequence[bytes], *, photometric: str = "YBR_FULL_422") -> FileDataset:
    """Replace the pixels of `ds` by JPEG baseline streams, one per frame, kept as they are."""
    ds.PixelData = encapsulate(list(frames))
    ds["PixelData"].is_undefined_length = True
    ds.PhotometricInterpretation = photometric
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return ds


def jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    """Return `pixels` (rows, columns[, 3]) as a JPEG baseline stream (Pillow's save options)."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **{"quality": 95} | options)
    return stream.getvalue()


def save(ds: FileDataset, path: Path) -> Path:
    """Write `ds` as a DICOM file and return its path; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file_bytes(ds))
    return path


def file_bytes(ds: FileDataset) -> bytes:
    """Return `ds` as the bytes of a DICOM file, in the transfer syntax of its file meta."""
    stream = io.BytesIO()
    dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def _header(sop_class: UID, **attributes: Any) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", Dataset(), preamble=b"\0" * 128, file_meta=meta)
    ds.SOPClassUID, ds.StudyInstanceUID = sop_class, STUDY_UID
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = (
        "Phantom^Echo",
        "PH-0001",
        "19700101",
        "F",
    )
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260102", "101500", "1", "ACC-1"
    ds.ReferringPhysicianName, ds.SeriesNumber, ds.InstanceNumber = "", 1, 1
    ds.Manufacturer, ds.ManufacturerModelName, ds.DeviceSerialNumber = "Test Devices", "Builder", "0"
    return _with_attributes(ds, attributes)


def _with_attributes(ds: FileDataset, attributes: dict[str, Any]) -> FileDataset:
    """Set (or, for None, remove) attributes, then derive the UIDs that were not given."""
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
        if value is None:
            delattr(ds, keyword)
    content = hashlib.sha256(repr((str(ds.SOPClassUID), ds.get("PixelData"), str(ds))).encode()).hexdigest()
    if "SeriesInstanceUID" not in attributes:
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[ds.StudyInstanceUID, ds.get("Modality", "")])
    if "SOPInstanceUID" not in attributes:
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[content])
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
