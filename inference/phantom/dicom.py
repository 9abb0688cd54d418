"""A phantom as a machine would send it: a calibrated Ultrasound Image, and its truth as JSON values."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage

from inference.labelled import cycle_values, mean_values
from inference.phantom.strip import Phantom
from inference.types import Landmarks

LEFT_PX, RIGHT_PX, BELOW_PX = 40, 64, 28
GRAY = (170, 170, 170)


def phantom_uid(*parts: object) -> str:
    """A UID that belongs to these parts: the same phantom is the same instance."""
    digest = hashlib.sha256("/".join(map(str, ("echonode phantom", *parts))).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def strip_origin(phantom: Phantom) -> tuple[int, int]:
    """Where the strip's top-left pixel lies on the screen: (x, y)."""
    return LEFT_PX, max(120, phantom.pixels.shape[0] * 3 // 5)


def screen(phantom: Phantom) -> NDArray[np.uint8]:
    """The whole screen, (rows, columns, 3) uint8: a sector picture above, the strip with its axes below."""
    height, width = phantom.pixels.shape
    x, y = strip_origin(phantom)
    image = Image.new("RGB", (x + width + RIGHT_PX, y + height + BELOW_PX))
    image.paste(Image.fromarray(phantom.pixels), (x, y))
    pen = ImageDraw.Draw(image)
    sector(pen, centre=(x + width // 2, 8), radius=y - 24, seed=phantom.seed)
    for cm in range(int(height * phantom.calibration.cm_per_px_y) + 1):
        at = y + cm / phantom.calibration.cm_per_px_y
        pen.line((x + width, at, x + width + (8 if cm % 5 == 0 else 3), at), fill=GRAY)
        if cm % 5 == 0:
            pen.text((x + width + 12, at - 6), str(cm), fill=GRAY)
    for second in range(int(width * phantom.calibration.s_per_px_x) + 1):
        at = x + second / phantom.calibration.s_per_px_x
        pen.line((at, y + height, at, y + height + 6), fill=GRAY)
    return np.array(image)


def sector(pen: ImageDraw.ImageDraw, *, centre: tuple[int, int], radius: int, seed: int) -> None:
    """A small made-up sector with its cursor: what tells a reader which way the strip was cut."""
    rng = np.random.default_rng(seed)
    for r in range(6, radius, 3):
        box = (centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r)
        gray = int(
            30 + 60 * rng.random() + (90 if r in (radius // 2 // 3 * 3, radius * 4 // 5 // 3 * 3) else 0)
        )
        pen.arc(box, 52, 128, fill=(gray, gray, gray), width=3)
    pen.line((*centre, centre[0], centre[1] + radius), fill=(120, 120, 60))


def region_item(phantom: Phantom) -> Dataset:
    """The M-mode region of the screen (PS3.3 C.8.5.5)."""
    (x, y), (height, width) = strip_origin(phantom), phantom.pixels.shape
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 2, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x, y
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x + width - 1, y + height - 1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = 4, 3
    item.PhysicalDeltaX = phantom.calibration.s_per_px_x
    item.PhysicalDeltaY = phantom.calibration.cm_per_px_y
    return item


def as_dataset(phantom: Phantom, *, study_uid: str | None = None, number: int = 1) -> FileDataset:
    """An Ultrasound Image that holds the phantom's screen, with patient and study of its own."""
    ds = ultrasound_header(phantom.kind, phantom.seed, study_uid or phantom_uid("study", phantom.seed))
    ds.InstanceNumber = number
    ds.SequenceOfUltrasoundRegions = [region_item(phantom)]
    set_pixels(ds, screen(phantom))
    return ds


def ultrasound_header(kind: str, seed: int, study_uid: str) -> FileDataset:
    """Everything of an Ultrasound Image but its pixels and regions."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    meta.MediaStorageSOPInstanceUID = phantom_uid("image", kind, seed, study_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, phantom_uid("series", study_uid)
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260101", "120000", "1", ""
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Phantom^Echo", f"PH{seed}", "", "O"
    ds.ReferringPhysicianName, ds.Modality, ds.SeriesNumber = "", "US", 1
    ds.Manufacturer, ds.ManufacturerModelName = "echonode phantom", "M-mode"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "", "0002"]
    ds.BodyPartExamined, ds.PatientOrientation, ds.BurnedInAnnotation = "HEART", "", "NO"
    return ds


def set_pixels(ds: Dataset, rgb: NDArray[np.uint8]) -> None:
    """Stores (rows, columns, 3) uint8 as uncompressed RGB."""
    ds.Rows, ds.Columns, ds.SamplesPerPixel = rgb.shape[0], rgb.shape[1], 3
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    data = rgb.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)


def truth_document(phantom: Phantom) -> Mapping[str, Any]:
    """The truth as JSON values, coordinates in the full image."""
    x, y = strip_origin(phantom)

    def moved(landmarks: Landmarks) -> dict[str, list[list[float]]]:
        phases = {"diastole": landmarks.diastole, "systole": landmarks.systole}
        return {name: [[px + x, py + y] for px, py in four] for name, four in phases.items()}

    return {
        "kind": phantom.kind,
        "seed": phantom.seed,
        "cm_per_px": phantom.calibration.cm_per_px_y,
        "s_per_px": phantom.calibration.s_per_px_x,
        "cycles": [
            {
                "box_px": [c.box_px[0] + x, c.box_px[1] + y, c.box_px[2] + x, c.box_px[3] + y],
                "landmarks_px": moved(c.landmarks_px),
                **cycle_values(phantom, c),
            }
            for c in phantom.cycles
        ],
        "measurements": mean_values(phantom),
    }
