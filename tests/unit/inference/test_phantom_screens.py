"""Whole screens of phantoms: every layout gives back its strip, and nobody's name is on it."""

import numpy as np
import pytest
from PIL import ImageDraw
from pydicom.dataset import Dataset

from inference.image.pixels import strip
from inference.image.regions import mmode_regions
from inference.phantom.console import screen
from inference.phantom.dicom import as_dataset, strip_origin
from inference.phantom.layouts import LAYOUTS, layout_of, placement
from inference.phantom.region_items import region_items
from inference.phantom.strip import make_phantom

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_screen_reads_back_as_its_strip(seed: int) -> None:
    """Exactly one region is an M-mode strip; its place, its calibration and its pixels are the phantom's."""
    phantom = make_phantom(seed, "LV")
    dataset = as_dataset(phantom)

    (region,) = mmode_regions(dataset)

    assert (region.x0, region.y0) == strip_origin(phantom)
    assert region.calibration == phantom.calibration
    found = strip(dataset, region).pixels
    assert found.shape == phantom.pixels.shape
    assert np.abs(found.astype(int) - phantom.pixels).max() <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_every_region_lies_on_the_screen(seed: int) -> None:
    """All of them inside the image, but for the one pixel that some makers write too many."""
    phantom = make_phantom(seed, "LV")
    rows, columns, _ = screen(phantom).shape

    for item in region_items(phantom):
        assert 0 <= item.RegionLocationMinX0 < item.RegionLocationMaxX1 <= columns
        assert 0 <= item.RegionLocationMinY0 < item.RegionLocationMaxY1 < rows


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_a_screen_around_the_strip(seed: int) -> None:
    """Something is drawn outside the strip, and nothing of it leaves the room that its layout gives it."""
    phantom = make_phantom(seed, "LV")
    place, shown = placement(phantom), screen(phantom)
    (x, y), (height, width) = place.strip, phantom.pixels.shape

    shown[y : y + height, x : x + width] = layout_of(phantom).background

    assert (shown.shape[1], shown.shape[0]) == place.size
    drawn = (shown != np.array(layout_of(phantom).background)).any(axis=2)
    assert 0.001 < drawn.mean() < 0.5


def test_seeds_go_round_the_layouts() -> None:
    """A handful of neighbouring seeds shows every layout."""
    names = {layout_of(make_phantom(seed, "LV")).name for seed in range(len(LAYOUTS))}

    assert names == {layout.name for layout in LAYOUTS}


def items_of(name: str) -> list[Dataset]:
    """The regions of the first phantom (seeds go round the layouts) whose layout has the attribute `name`."""
    index = next(index for index, layout in enumerate(LAYOUTS) if getattr(layout, name))
    return region_items(make_phantom(index, "LV"))


def test_a_sector_comes_before_the_strip_with_deltas_of_its_own() -> None:
    """Whoever takes the first region, or its deltas for all, is wrong."""
    sector, mmode = items_of("sector_region")[:2]

    assert (sector.RegionSpatialFormat, mmode.RegionSpatialFormat) == (1, 2)
    assert sector.PhysicalDeltaY != pytest.approx(mmode.PhysicalDeltaY, rel=0.01)


def test_an_ecg_region_has_no_unit_downwards() -> None:
    """Format 4, data type 10, seconds to the right, delta 0 down."""
    item = items_of("ecg")[-1]

    assert (item.RegionSpatialFormat, item.RegionDataType) == (4, 10)
    assert (item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection) == (4, 0)
    assert item.PhysicalDeltaY == 0.0


def test_one_maker_writes_the_size_as_the_last_column() -> None:
    """RegionLocationMaxX1 equals Columns where the strip reaches the right edge."""
    index = next(index for index, layout in enumerate(LAYOUTS) if layout.last_is_size)
    dataset = as_dataset(make_phantom(index, "LV"))

    assert dataset.SequenceOfUltrasoundRegions[-1].RegionLocationMaxX1 == dataset.Columns


def test_a_gray_bar_region_comes_first_without_units() -> None:
    """Format 0 and deltas 0: nothing to divide by."""
    item = items_of("bar_region")[0]

    assert (item.RegionSpatialFormat, item.PhysicalDeltaX, item.PhysicalDeltaY) == (0, 0.0, 0.0)


def test_the_reference_pixel_may_lie_outside_its_region() -> None:
    """As makers write it: relative to the region, here above it."""
    items = items_of("reference_pixel")

    assert all(item.ReferencePixelY0 < 0 for item in items)


def test_no_screen_names_a_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text drawn on any screen comes from the patient module, and the strip's writing has no names."""
    written: list[str] = []
    original = ImageDraw.ImageDraw.text

    def record(self: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, **how: object) -> None:
        written.append(text)
        original(self, xy, text, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    for seed in range(2 * len(LAYOUTS)):
        dataset = as_dataset(make_phantom(seed, "LV"))
        identity = {str(dataset.PatientName), "Phantom", str(dataset.PatientID), dataset.StudyDate}

        assert written
        assert not [text for text in written if any(each in text for each in identity)]
