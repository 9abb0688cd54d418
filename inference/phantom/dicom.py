"""A phantom as a machine would send it: a calibrated Ultrasound Image, and its truth as JSON values."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage

from inference.labelled import cycle_values, mean_values
from inference.phantom.console import screen
from inference.phantom.layouts import placement
from inference.phantom.region_items import region_items
from inference.phantom.sector import sector
from inference.phantom.strip import Phantom
from inference.types import Landmarks

__all__ = [
    "as_dataset",
    "phantom_uid",
    "screen",
    "sector",
    "set_pixels",
    "strip_origin",
    "truth_document",
    "ultrasound_header",
]


def phantom_uid(*parts: object) -> str:
    """A UID that belongs to these parts: the same phantom is the same instance."""
    digest = hashlib.sha256("/".join(map(str, ("echonode phantom", *parts))).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def strip_origin(phantom: Phantom) -> tuple[int, int]:
    """Where the strip's top-left pixel lies on the screen: (x, y)."""
    return placement(phantom).strip


def as_dataset(phantom: Phantom, *, study_uid: str | None = None, number: int = 1) -> FileDataset:
    """An Ultrasound Image that holds the phantom's screen, with patient and study of its own."""
    ds = ultrasound_header(phantom.kind, phantom.seed, study_uid or phantom_uid("study", phantom.seed))
    ds.InstanceNumber = number
    ds.SequenceOfUltrasoundRegions = region_items(phantom)
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
        "manners": list(phantom.manners),
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
