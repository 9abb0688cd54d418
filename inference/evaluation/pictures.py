"""Real pictures with what is known of them, as DICOM data sets.

A folder holds the pictures and a `truth.json`: per file name `kind`, `mmode_region_px`, `cm_per_px`,
`s_per_px`, and, where known, `printed_by_device` and `burned_in_calipers_px`; `dicom` instead of region and
scale where the file is an object that has its own.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage

from inference.image.pixels import frame_rgb
from inference.image.reading import read_image
from inference.phantom.dicom import set_pixels
from inference.types import Calibration

TRUTH = "truth.json"
PRINTED_NAMES = {
    "EDV_Teich_ml": "EDV_ml",
    "ESV_Teich_ml": "ESV_ml",
    "EF_Teich_pct": "EF_percent",
    "FS_pct": "FS_percent",
}
"""Names in `printed_by_device` that differ from the names of values."""
RegionBox = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class RealPicture:
    """One screen of a real machine."""

    path: Path
    kind: str
    """Ends in `LV` for a left ventricle, else says what it shows."""
    region_px: RegionBox | None
    """(x0, y0, x1, y1) of the M-mode strip, inclusive; None where it is not known."""
    calibration: Calibration | None
    """None for a picture without a scale: beats can be counted, but nothing measured."""
    printed: Mapping[str, float]
    """Values the device computed from a reader's calipers, under the names of values."""
    caliper_columns_px: tuple[float, ...]
    """Columns of burned-in calipers, which show the network where the landmarks are."""
    beats: int | None
    """Number of beats by a human reader."""
    is_dicom: bool = False
    """The file is a DICOM object with regions and scale of its own."""

    @property
    def has_scale(self) -> bool:
        """True if centimetres and seconds are known, so that it can be measured."""
        return self.is_dicom or self.calibration is not None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def rgb(self) -> NDArray[np.uint8]:
        """(rows, columns, 3) uint8, of the first frame."""
        if self.is_dicom:
            return frame_rgb(read_image(self.path), 0)
        with Image.open(self.path) as picture:
            return np.array(picture.convert("RGB"))

    def dataset(self) -> Dataset:
        """The object itself, or an uncompressed Ultrasound Image with one M-mode region.

        Without regions if there is no scale.
        """
        if self.is_dicom:
            return read_image(self.path)
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = UltrasoundImageStorage
        set_pixels(ds, self.rgb())
        if self.region_px is not None and self.calibration is not None:
            ds.SequenceOfUltrasoundRegions = [_region_item(self.region_px, self.calibration)]
        return ds


def _region_item(box: RegionBox, calibration: Calibration) -> Dataset:
    """An M-mode region: seconds to the right, centimetres down (PS3.3 C.8.5.5)."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 2, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2:]
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = 4, 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = calibration.s_per_px_x, calibration.cm_per_px_y
    return item


def read_pictures(folder: Path) -> list[RealPicture]:
    """The pictures of a folder in the order of its `truth.json`.

    A picture with centimetres but no seconds takes those of another with the same region, since it comes
    from the same machine and layout.

    Raises:
        FileNotFoundError: there is no such folder, or it has no `truth.json`.
    """
    truths = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    sweeps = {_region(truth): truth["s_per_px"] for truth in truths.values() if "s_per_px" in truth}
    return [_picture(folder / name, truth, sweeps) for name, truth in truths.items()]


def _picture(path: Path, truth: Mapping[str, Any], sweeps: Mapping[RegionBox | None, float]) -> RealPicture:
    region = _region(truth)
    calipers = truth.get("burned_in_calipers_px", {})
    counted = re.search(r"(\d+) beats", truth.get("note", ""))
    return RealPicture(
        path=path,
        kind=truth["kind"],
        region_px=region,
        calibration=_calibration(truth.get("cm_per_px"), truth.get("s_per_px", sweeps.get(region))),
        printed={PRINTED_NAMES.get(k, k): v for k, v in truth.get("printed_by_device", {}).items()},
        caliper_columns_px=tuple(x for name, x in calipers.items() if name.endswith("_line_x")),
        beats=int(counted[1]) if counted else None,
        is_dicom=truth.get("dicom", False),
    )


def _calibration(cm_per_px: float | None, s_per_px: float | None) -> Calibration | None:
    if cm_per_px is None or s_per_px is None:
        return None
    return Calibration(cm_per_px_y=cm_per_px, s_per_px_x=s_per_px)


def _region(truth: Mapping[str, Any]) -> RegionBox | None:
    box = truth.get("mmode_region_px")
    return (box["x0"], box["y0"], box["x1"], box["y1"]) if box else None
