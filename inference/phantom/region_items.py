"""The calibrated regions of a phantom's screen as the makers write them (PS3.3 C.8.5.5)."""

from pydicom.dataset import Dataset

from inference.phantom.console import ECG_PX, bar_box
from inference.phantom.layouts import Layout, Placement, layout_of, placement
from inference.phantom.sector import half_width
from inference.phantom.strip import Phantom

NO_FORMAT, PLANE, MMODE, GRAPHICS = 0, 1, 2, 4  # RegionSpatialFormat
NO_DATA, TISSUE, ECG = 0, 1, 10  # RegionDataType
NO_UNIT, CENTIMETRES, SECONDS = 0, 3, 4  # PhysicalUnitsXDirection
Box = tuple[int, int, int, int]


def region_items(phantom: Phantom) -> list[Dataset]:
    """Every region of the screen; exactly one of them is the M-mode strip, and not always the first."""
    layout, place = layout_of(phantom), placement(phantom)
    items = []
    if layout.bar_region:
        items.append(_item(layout, bar_box(place), (NO_FORMAT, NO_DATA), (NO_UNIT, NO_UNIT), (0.0, 0.0)))
    if layout.sector_region:
        items.append(sector_item(phantom, layout, place))
    items.append(strip_item(phantom, layout, place))
    if layout.ecg is not None:
        items.append(ecg_item(phantom, layout, place))
    return items


def strip_item(phantom: Phantom, layout: Layout, place: Placement) -> Dataset:
    """The M-mode strip: seconds to the right, centimetres down."""
    (x, y), (height, width) = place.strip, phantom.pixels.shape
    deltas = phantom.calibration.s_per_px_x, phantom.calibration.cm_per_px_y
    box = (x, y, x + width - 1, y + height - 1)
    item = _item(layout, box, (MMODE, TISSUE), (SECONDS, CENTIMETRES), deltas)
    if layout.last_is_size:
        item.RegionLocationMaxX1 = place.size[0]
    return item


def sector_item(phantom: Phantom, layout: Layout, place: Placement) -> Dataset:
    """The sector: as deep as the strip, but with pixels of its own size."""
    x, y = place.apex or (0, 0)
    half = half_width(place.radius_px)
    delta = phantom.pixels.shape[0] * phantom.calibration.cm_per_px_y / place.radius_px
    box = (max(0, x - half), y, x + half, y + place.radius_px)
    return _item(layout, box, (PLANE, TISSUE), (CENTIMETRES, CENTIMETRES), (delta, delta))


def ecg_item(phantom: Phantom, layout: Layout, place: Placement) -> Dataset:
    """The ECG above the strip: seconds to the right, nothing down."""
    x, y = place.strip
    box = (x, y - 2 - ECG_PX, x + phantom.pixels.shape[1] - 1, y - 3)
    deltas = (phantom.calibration.s_per_px_x, 0.0)
    return _item(layout, box, (GRAPHICS, ECG), (SECONDS, NO_UNIT), deltas)


def _item(
    layout: Layout, box: Box, kind: tuple[int, int], units: tuple[int, int], deltas: tuple[float, float]
) -> Dataset:
    """One region: `kind` is its format and data type, `units` and `deltas` those of x and y."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = kind
    item.RegionFlags = layout.region_flags
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2:]
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = deltas
    if layout.reference_pixel:
        # relative to the region; the origin of x varies between makers, and negative values occur
        item.ReferencePixelX0, item.ReferencePixelY0 = (box[2] - box[0]) // 2, -4
        item.ReferencePixelPhysicalValueX = item.ReferencePixelPhysicalValueY = 0.0
    return item
