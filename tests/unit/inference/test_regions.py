"""M-mode regions: what is read, what is refused and in which words."""

import contextlib
import io
import math
import warnings
from collections.abc import Callable

import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.config import IGNORE
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import EnhancedUSVolumeStorage, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage
from support import builders
from support.real_images import real_image

from inference.errors import InferenceError, NoMModeRegion, NotUltrasound, TooLarge, Uncalibrated
from inference.image.pixels import strip
from inference.image.regions import mmode_regions

ROWS, COLUMNS = 100, 160
SEQUENCE = 0x00186011
ECG = builders.region(0, 60, 159, 99, spatial_format=4, units=(4, 0), deltas=(0.0096, 0.0))
GREY_BAR = builders.region(140, 0, 150, 60, spatial_format=0, units=(0, 0), deltas=(0.0, 0.0))


def image(*regions: Dataset) -> FileDataset:
    """Return a 160 x 100 image with these regions."""
    return builders.us_image(builders.texture(ROWS, COLUMNS), list(regions))


def good(**changes: object) -> Dataset:
    """Return a valid M-mode region with some attributes changed, None removing one."""
    item = builders.mmode_region(10, 20, 149, 89, cm_per_px=0.04, s_per_px=0.005)
    for keyword, value in changes.items():
        setattr(item, keyword, value)
        if value is None:
            delattr(item, keyword)
    return item


def test_a_calibrated_region_is_read() -> None:
    """Rectangle, centimetres, seconds and position of an M-mode region come out as written."""
    (region,) = mmode_regions(image(good()))

    assert region.xyxy_px == (10, 20, 149, 89)
    assert (region.calibration.cm_per_px_y, region.calibration.s_per_px_x) == (0.04, 0.005)
    assert region.index == 0


def test_only_the_size_of_a_delta_counts() -> None:
    """Devices that count depth or time backwards write negative deltas; the sign is taken off."""
    (region,) = mmode_regions(image(good(PhysicalDeltaX=-0.005, PhysicalDeltaY=-0.04)))

    assert (region.calibration.cm_per_px_y, region.calibration.s_per_px_x) == (0.04, 0.005)


@pytest.mark.parametrize(
    "changes",
    [
        {"RegionFlags": 3},
        {"RegionFlags": 0x18},
        {"RegionFlags": None},
        {"RegionDataType": 2},
        {"RegionDataType": None},
        {"ReferencePixelX0": -400, "ReferencePixelY0": 5000, "ReferencePixelPhysicalValueX": -1.5},
    ],
)
def test_what_devices_disagree_about_is_not_looked_at(changes: dict[str, object]) -> None:
    """Flags, data type and reference pixel neither select nor exclude a region."""
    (region,) = mmode_regions(image(good(**changes)))

    assert region.xyxy_px == (10, 20, 149, 89)


def test_every_region_has_its_own_calibration() -> None:
    """Several M-mode regions between other kinds are all found, each with its own deltas and position."""
    first = builders.mmode_region(0, 0, 159, 49, cm_per_px=0.03, s_per_px=0.004)
    second = builders.mmode_region(0, 50, 159, 99, cm_per_px=0.05, s_per_px=0.006)

    found = mmode_regions(image(builders.tissue_region(0, 0, 99, 99), first, ECG, GREY_BAR, second))

    assert [(r.index, r.calibration.cm_per_px_y, r.calibration.s_per_px_x) for r in found] == [
        (1, 0.03, 0.004),
        (4, 0.05, 0.006),
    ]


def test_a_good_region_beside_a_bad_one_is_used() -> None:
    """One unusable M-mode region does not take the others with it."""
    found = mmode_regions(image(good(PhysicalDeltaX=0.0), good(), good(RegionLocationMaxX1=9000)))

    assert [region.index for region in found] == [1]


def test_a_rectangle_one_pixel_too_wide_is_clamped() -> None:
    """MaxX1 = Columns and MaxY1 = Rows, as some devices write, mean the last pixel."""
    (region,) = mmode_regions(image(good(RegionLocationMaxX1=COLUMNS, RegionLocationMaxY1=ROWS)))

    assert region.xyxy_px == (10, 20, COLUMNS - 1, ROWS - 1)


@pytest.mark.parametrize("changes", [{"RegionLocationMaxX1": COLUMNS + 1}, {"RegionLocationMaxY1": 4000}])
def test_a_rectangle_outside_the_image_is_refused(changes: dict[str, object]) -> None:
    """Coordinates of a resized image are never bent into the picture, and the refusal says so."""
    with pytest.raises(Uncalibrated, match=r"region 1: [XY] from .* lies outside the image"):
        mmode_regions(image(good(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"RegionLocationMinX0": 149, "RegionLocationMaxX1": 10},
        {"RegionLocationMinY0": 89, "RegionLocationMaxY1": 89},
        {"RegionLocationMaxX1": 40},
        {"RegionLocationMinY0": 59},
    ],
)
def test_a_rectangle_that_holds_no_strip_is_refused(changes: dict[str, object]) -> None:
    """Inverted, empty and tiny (below 32 pixels) rectangles are refused."""
    with pytest.raises(Uncalibrated, match="holds less than 32 pixels"):
        mmode_regions(image(good(**changes)))


def test_the_smallest_strip_is_accepted() -> None:
    """A region of 32 x 32 pixels is still one."""
    assert mmode_regions(image(builders.mmode_region(0, 0, 31, 31)))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PhysicalUnitsXDirection", 3),
        ("PhysicalUnitsXDirection", 5),
        ("PhysicalUnitsXDirection", None),
        ("PhysicalUnitsYDirection", 7),
        ("PhysicalUnitsYDirection", 0),
        ("PhysicalUnitsYDirection", None),
        ("PhysicalDeltaX", 0.0),
        ("PhysicalDeltaX", math.nan),
        ("PhysicalDeltaX", None),
        ("PhysicalDeltaY", -math.inf),
        ("PhysicalDeltaY", None),
        ("PhysicalDeltaY", [0.04, 0.04]),
        ("RegionLocationMinX0", None),
        ("RegionLocationMaxY1", None),
    ],
)
def test_a_region_without_a_usable_scale_is_uncalibrated(keyword: str, value: object) -> None:
    """Other units, absent or useless values are refused, naming the attribute."""
    with pytest.raises(
        Uncalibrated, match=keyword.removesuffix("0").removesuffix("1").removeprefix("RegionLocation")
    ):
        mmode_regions(image(good(**{keyword: value})))


@pytest.mark.parametrize("keyword", ["PhysicalDeltaX", "PhysicalUnitsYDirection", "RegionLocationMaxX1"])
def test_text_is_no_number(keyword: str) -> None:
    """A text where a number belongs is refused even if it looks like one."""
    item = good()
    item.add_new(item[keyword].tag, "LO", "4")

    with pytest.raises(Uncalibrated):
        mmode_regions(image(item))


@pytest.mark.parametrize("regions", [[], [builders.tissue_region(0, 0, 99, 99), ECG, GREY_BAR]])
def test_an_image_without_mmode_says_so(regions: list[Dataset]) -> None:
    """No regions at all, and regions of other formats only, are `no_mmode_region`."""
    with pytest.raises(NoMModeRegion) as refusal:
        mmode_regions(image(*regions))

    assert refusal.value.reason == "no_mmode_region"
    assert refusal.value.detail


@pytest.mark.parametrize(
    ("vr", "value"), [("LO", "regions"), ("OB", b"\0\1\2\3"), ("US", 7), ("DS", ["1", "2"])]
)
def test_a_sequence_that_is_none_counts_as_absent(vr: str, value: object) -> None:
    """SequenceOfUltrasoundRegions written with another VR is no list of regions."""
    ds = image()
    ds.add_new(SEQUENCE, vr, value)

    with pytest.raises(NoMModeRegion):
        mmode_regions(ds)


@pytest.mark.parametrize(
    "sop_class",
    [
        UltrasoundImageStorage,
        UltrasoundMultiFrameImageStorage,
        "1.2.840.10008.5.1.4.1.1.6",
        "1.2.840.10008.5.1.4.1.1.3",
    ],
)
def test_current_and_retired_ultrasound_classes_are_read(sop_class: str) -> None:
    """Still and multi-frame, current and retired ultrasound image classes all count."""
    assert mmode_regions(builders.us_image(builders.texture(), SOPClassUID=sop_class))


@pytest.mark.parametrize(
    "ds",
    [
        builders.secondary_capture(),
        builders.vendor_sr(),
        builders.presentation_state(builders.image_2d()),
        builders.us_image(builders.texture(), SOPClassUID=EnhancedUSVolumeStorage),
        builders.us_image(builders.texture(), SOPClassUID="1.2.3.4"),
        Dataset(),
    ],
)
def test_other_objects_are_not_ultrasound(ds: Dataset) -> None:
    """Whatever is no ultrasound image class is refused as such, regions or not."""
    with pytest.raises(NotUltrasound, match="SOP class"):
        mmode_regions(ds)


def test_the_number_of_strips_is_bounded() -> None:
    """An image with hundreds of M-mode regions is refused, not measured for hours."""
    with pytest.raises(TooLarge, match="17 M-mode regions"):
        mmode_regions(image(*[good() for _ in range(17)]))


@pytest.mark.parametrize(
    "name",
    [
        "color3d_jpeg_baseline.dcm",
        "gdcm-US-ALOKA-16.dcm",
        "JPGLosslessP14SV1_1s_1f_8b.dcm",
        "examples_palette.dcm",
        "US1_UNCI.dcm",
    ],
)
def test_no_2d_image_of_a_real_device_passes_for_mmode(name: str) -> None:
    """2D, ECG and grey-bar regions as five makers write them hold no M-mode region."""
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"pydicom-data's {name} is not installed")

    with pytest.raises(NoMModeRegion):
        mmode_regions(pydicom.dcmread(path))


def test_a_real_picture_is_found_where_its_axes_are() -> None:
    """The wrapped GE image has one region, calibrated by its drawn axes."""
    (region,) = mmode_regions(real_image("lv_ge_commons.jpg"))

    assert region.xyxy_px == (33, 132, 570, 411)
    assert region.calibration.cm_per_px_y == pytest.approx(0.03953)


ANYTHING = st.one_of(
    st.none(),
    st.integers(-(2**40), 2**40),
    st.sampled_from([0, 2, 3, 4, 31, 32, ROWS, COLUMNS]),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.lists(st.floats(), max_size=3),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(values=st.dictionaries(st.sampled_from(sorted(elem.keyword for elem in good())), ANYTHING))
def test_no_value_of_a_region_surprises(values: dict[str, object]) -> None:
    """Whatever a region's attributes hold, the answer is a usable region or a refusal."""
    item = good()
    for keyword, value in values.items():
        item.add(DataElement(item[keyword].tag, "OB", value, validation_mode=IGNORE))

    _regions_or_refusal(image(item))


FILE = builders.file_bytes(image(good(), ECG))
SEQUENCE_START = FILE.index(b"\x18\x00\x11\x60SQ")
SEQUENCE_END = FILE.index(b"\x28\x00\x02\x00US")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(SEQUENCE_START, SEQUENCE_END + 100), st.integers(0, 255)), max_size=6))
@example([(SEQUENCE_START + 4, ord("U")), (SEQUENCE_START + 5, ord("S"))])
def test_no_damaged_byte_of_the_sequence_surprises(damage: list[tuple[int, int]]) -> None:
    """A file with damaged bytes in its region sequence or image header is measured or refused."""
    data = bytearray(FILE)
    for position, value in damage:
        data[position] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = _readable(lambda: pydicom.dcmread(io.BytesIO(bytes(data))))

    if ds is not None:
        _regions_or_refusal(ds)


def test_a_region_without_its_end_is_refused() -> None:
    """An element of undefined length that never ends swallows the calibration, nothing more."""
    flags, endless = b"\x18\x00\x16\x60UL\x04\x00\0\0\0\0", b"\x18\x00\x16\x60OB\0\0\xff\xff\xff\xff"
    assert flags in FILE

    with pytest.raises(Uncalibrated):
        mmode_regions(pydicom.dcmread(io.BytesIO(FILE.replace(flags, endless))))


def _readable(read: Callable[[], FileDataset]) -> FileDataset | None:
    """Return the data set, None where pydicom itself cannot parse the file: the caller's business."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - pydicom's parser raises anything; only what it accepts matters here
        return None


def _regions_or_refusal(ds: Dataset) -> None:
    try:
        regions = mmode_regions(ds)
    except InferenceError:
        return
    for region in regions:
        assert 0 <= region.x0 < region.x1 < ds.Columns
        assert 0 <= region.y0 < region.y1 < ds.Rows
        with contextlib.suppress(InferenceError):
            assert strip(ds, region).pixels.shape == (region.y1 - region.y0 + 1, region.x1 - region.x0 + 1)
