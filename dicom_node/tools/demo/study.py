"""The study of the demo: two M-mode images, a 2D image and an SR, one of them a left ventricle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ComprehensiveSRStorage

from inference.labelled import mean_values
from inference.phantom.dicom import (
    as_dataset,
    phantom_uid,
    sector,
    set_pixels,
    ultrasound_header,
)
from inference.phantom.strip import make_phantom

LV_SEED = 3_100_046
TAPSE_SEED = 3_100_001
STUDY_UID = phantom_uid("demo study")
SCREEN_PX = (480, 640)


@dataclass(frozen=True, kw_only=True)
class Study:
    """The files to send, and the truth of the left ventricle."""

    names: Mapping[Path, str]
    """Description of each file."""
    left_ventricle: FileDataset
    truth: Mapping[str, float]
    """The phantom's measurements, mean of its beats."""

    @property
    def paths(self) -> list[Path]:
        """The files in the order of sending."""
        return list(self.names)


def make_study(folder: Path) -> Study:
    """Write the study into `folder`."""
    folder.mkdir(parents=True)
    heart = make_phantom(LV_SEED, "LV")
    left_ventricle = as_dataset(heart, study_uid=STUDY_UID, number=1)
    tapse = as_dataset(make_phantom(TAPSE_SEED, "TAPSE"), study_uid=STUDY_UID, number=2)
    members = {
        "lv_mmode.dcm": ("LV M-mode", left_ventricle),
        "tapse_mmode.dcm": ("TAPSE M-mode", tapse),
        "image_2d.dcm": ("2D image", image_2d()),
        "vendor_sr.dcm": ("vendor SR", vendor_sr()),
    }
    names = {}
    for file, (name, dataset) in members.items():
        dataset.PatientID = "DEMO"
        dataset.save_as(folder / file, enforce_file_format=True)
        names[folder / file] = name
    return Study(names=names, left_ventricle=left_ventricle, truth=mean_values(heart))


def image_2d() -> FileDataset:
    """Return a 2D image with a calibrated region, without M-mode."""
    rows, columns = SCREEN_PX
    image = Image.new("RGB", (columns, rows))
    sector(ImageDraw.Draw(image), centre=(columns // 2, 20), radius=rows - 60, seed=1)
    ds = ultrasound_header("2D", 0, STUDY_UID)
    ds.InstanceNumber, ds.ImageType = 3, ["ORIGINAL", "PRIMARY", "", "0001"]
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = columns - 1, rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.04
    ds.SequenceOfUltrasoundRegions = [region]
    set_pixels(ds, np.array(image))
    return ds


def vendor_sr() -> FileDataset:
    """Return an SR of the scanner, as echo studies contain it."""
    ds = ultrasound_header("vendor SR", 0, STUDY_UID)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    ds.Modality, ds.SeriesInstanceUID, ds.InstanceNumber = "SR", phantom_uid("demo SR series"), 1
    ds.ContentDate, ds.ContentTime = ds.StudyDate, ds.StudyTime
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ReferencedPerformedProcedureStepSequence, ds.PerformedProcedureCodeSequence = [], []
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator = "125200", "DCM"
    title.CodeMeaning = "Adult Echocardiography Procedure Report"
    ds.ValueType, ds.ContinuityOfContent, ds.ConceptNameCodeSequence = "CONTAINER", "SEPARATE", [title]
    for keyword in ("ImageType", "BodyPartExamined", "PatientOrientation", "BurnedInAnnotation"):
        delattr(ds, keyword)
    return ds
