"""From data set to calibrated M-mode regions (US Region Calibration module, PS3.3 C.8.5.5)."""

import math
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import UID, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from inference.errors import NoMModeRegion, NotUltrasound, TooLarge, Uncalibrated
from inference.image.attributes import attribute, image_size, integer, number
from inference.types import Calibration, MModeRegion

ULTRASOUND_CLASSES = frozenset(
    {
        UltrasoundImageStorage,
        UltrasoundMultiFrameImageStorage,
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image Storage (Retired)
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image Storage (Retired)
    }
)
MMODE_FORMAT = 2
SECONDS, CENTIMETRES = 4, 3  # PS3.3 C.8.5.5.1.15
MIN_SIDE_PX = 32
"""Smaller regions are not usable."""
MAX_MMODE_REGIONS = 16


def mmode_regions(ds: Dataset) -> list[MModeRegion]:
    """Return every usable M-mode region of an ultrasound image, in the order of the data set.

    A usable region beside an unusable one is returned. RegionFlags, RegionDataType and the reference pixel
    are ignored, since devices disagree about them.

    Raises:
        NotUltrasound: the SOP class is not an ultrasound image class.
        NoMModeRegion: no region has RegionSpatialFormat 2, or there are no regions at all.
        Uncalibrated: there are M-mode regions, but none with seconds to the right, centimetres
            down, usable deltas and a rectangle inside the image.
        PixelDataError: Rows or Columns is unusable.
        TooLarge: more than `MAX_MMODE_REGIONS` M-mode regions.
    """
    _require_ultrasound(ds)
    candidates = _mmode_items(ds)
    rows, columns = image_size(ds)
    regions, refusals = [], []
    for index, item in candidates:
        try:
            regions.append(_region(item, index, rows, columns))
        except Uncalibrated as refusal:
            refusals.append(f"region {index + 1}: {refusal.detail}")
    if not regions:
        raise Uncalibrated("; ".join(refusals))
    return regions


def _require_ultrasound(ds: Dataset) -> None:
    sop_class = attribute(ds, "SOPClassUID")
    if not isinstance(sop_class, str) or sop_class not in ULTRASOUND_CLASSES:
        name = UID(sop_class, validation_mode=0).name if isinstance(sop_class, str) else "missing"
        raise NotUltrasound(f"SOP class: {name[:64]}")


def _mmode_items(ds: Dataset) -> list[tuple[int, Dataset]]:
    """Return (position, item) of the regions of RegionSpatialFormat 2."""
    sequence = attribute(ds, "SequenceOfUltrasoundRegions")
    is_sequence = isinstance(sequence, Sequence) and not isinstance(sequence, str | bytes)
    items = [
        (index, item)
        for index, item in enumerate(sequence if is_sequence else ())
        if isinstance(item, Dataset)
    ]
    if not items:
        raise NoMModeRegion("the image has no ultrasound regions")
    found = [(index, item) for index, item in items if integer(item, "RegionSpatialFormat") == MMODE_FORMAT]
    if not found:
        raise NoMModeRegion(f"{len(items)} ultrasound regions, none of RegionSpatialFormat {MMODE_FORMAT}")
    if len(found) > MAX_MMODE_REGIONS:
        raise TooLarge(f"{len(found)} M-mode regions, at most {MAX_MMODE_REGIONS} are read")
    return found


def _region(item: Dataset, index: int, rows: int, columns: int) -> MModeRegion:
    calibration = Calibration(
        cm_per_px_y=_delta(item, "Y", CENTIMETRES, "centimetres"),
        s_per_px_x=_delta(item, "X", SECONDS, "seconds"),
    )
    x0, x1 = _extent(item, "X", columns)
    y0, y1 = _extent(item, "Y", rows)
    return MModeRegion(x0=x0, y0=y0, x1=x1, y1=y1, calibration=calibration, index=index)


def _delta(item: Dataset, axis: str, unit: int, unit_name: str) -> float:
    """Return the physical size of a pixel along `axis`; its sign only tells the direction."""
    found = integer(item, f"PhysicalUnits{axis}Direction")
    if found != unit:
        raise Uncalibrated(f"PhysicalUnits{axis}Direction is {found}, not {unit} ({unit_name})")
    delta = number(item, f"PhysicalDelta{axis}")
    if delta is None or not math.isfinite(delta) or delta == 0:
        raise Uncalibrated(f"PhysicalDelta{axis} is {delta}")
    return abs(delta)


def _extent(item: Dataset, axis: str, size: int) -> tuple[int, int]:
    """Return (first, last) pixel along `axis`; one pixel beyond the image is accepted and clipped."""
    first, last = integer(item, f"RegionLocationMin{axis}0"), integer(item, f"RegionLocationMax{axis}1")
    if first is None or last is None:
        raise Uncalibrated(f"RegionLocationMin{axis}0 or Max{axis}1 is missing or is no number")
    if first < -1 or last > size:
        raise Uncalibrated(f"{axis} from {first} to {last} lies outside the image (0 to {size - 1})")
    first, last = max(first, 0), min(last, size - 1)
    if last - first + 1 < MIN_SIDE_PX:
        raise Uncalibrated(f"{axis} from {first} to {last} holds less than {MIN_SIDE_PX} pixels")
    return first, last
