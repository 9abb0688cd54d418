"""Pixels: the same strip out of every encoding, and a refusal for everything else."""

import io
import struct
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import convert_color_space
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from support import builders
from support.peers import require
from support.real_images import REAL_IMAGES, real_image

from inference.errors import InferenceError, NoPixelData, PixelDataError, TooLarge
from inference.image.pixels import frame_rgb, frames_to_analyse, strip
from inference.image.regions import mmode_regions

GRAY = builders.texture(64, 96)
RGB = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=-1)
RGB_LUMA = np.rint(RGB @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
YBR = convert_color_space(RGB, "RGB", "YBR_FULL")
WIDE = GRAY.astype(np.uint16) * 257
FRAMES = np.stack([builders.texture(64, 96, seed=seed) for seed in range(5)])


def gray(ds: Dataset, frame: int = 0) -> NDArray[np.int16]:
    """Return the strip of the only region of `ds`, signed so that differences work."""
    (region,) = mmode_regions(ds)
    return strip(ds, region, frame).pixels.astype(np.int16)


def error(found: NDArray[Any], expected: NDArray[Any]) -> int:
    """Return the largest difference of two pictures."""
    assert found.shape == expected.shape
    return int(np.abs(found.astype(np.int16) - expected.astype(np.int16)).max())


def reread(ds: FileDataset) -> FileDataset:
    """Return `ds` as a receiver would see it: written to a file and read back."""
    return pydicom.dcmread(io.BytesIO(builders.file_bytes(ds)))


def compressed(ds: FileDataset, syntax: str, **options: object) -> FileDataset:
    """Return `ds` compressed by pydicom's encoders."""
    ds.compress(syntax, generate_instance_uid=False, **options)
    return ds


def with_syntax(ds: FileDataset, syntax: str) -> FileDataset:
    """Return `ds` in another native transfer syntax."""
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def dcmtk(ds: FileDataset, folder: Path, command: str) -> FileDataset:
    """Return `ds` converted by a DCMTK tool, skipping where DCMTK is absent."""
    tool, *options = command.split()
    require(tool)
    source, target = builders.save(ds, folder / "in.dcm"), folder / "out.dcm"
    subprocess.run([tool, *options, source, target], check=True, timeout=30)
    return pydicom.dcmread(target)


def planar(pixels: NDArray[np.uint8]) -> bytes:
    """Return colour-by-plane bytes of colour-by-pixel ones."""
    return np.moveaxis(pixels, -1, 0).tobytes()


def test_the_strip_is_the_region() -> None:
    """Both corners of the rectangle belong to the strip, which keeps its region and frame."""
    ds = builders.us_image(GRAY, [builders.mmode_region(10, 5, 60, 40)])
    (region,) = mmode_regions(ds)

    found = strip(ds, region)

    assert np.array_equal(found.pixels, GRAY[5:41, 10:61])
    assert (found.region, found.frame, found.pixels.dtype) == (region, 0, np.uint8)


LOSSLESS: dict[str, Callable[[FileDataset], FileDataset]] = {
    "implicit": lambda ds: with_syntax(ds, ImplicitVRLittleEndian),
    "explicit": lambda ds: ds,
    "big endian": lambda ds: with_syntax(ds, ExplicitVRBigEndian),
    "deflated": lambda ds: with_syntax(ds, DeflatedExplicitVRLittleEndian),
    "RLE": lambda ds: compressed(ds, RLELossless),
    "JPEG-LS": lambda ds: compressed(ds, JPEGLSLossless),
    "JPEG 2000": lambda ds: compressed(ds, JPEG2000Lossless),
}


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize(("pixels", "expected"), [(GRAY, GRAY), (RGB, RGB_LUMA)], ids=["gray", "colour"])
def test_lossless_syntaxes_give_the_same_strip(
    name: str, pixels: NDArray[np.uint8], expected: NDArray[np.uint8]
) -> None:
    """Every lossless encoding of a picture gives the picture, colour as its luma."""
    ds = reread(LOSSLESS[name](builders.us_image(pixels)))

    assert error(gray(ds), expected) == 0


@pytest.mark.parametrize("name", ["implicit", "RLE", "JPEG-LS", "JPEG 2000"])
def test_sixteen_bits_are_scaled(name: str) -> None:
    """16-bit pixels of any encoding are scaled to 8."""
    assert error(gray(reread(LOSSLESS[name](builders.us_image(WIDE)))), GRAY) == 0


def test_sixteen_bits_in_big_endian() -> None:
    """Big endian words are read as such."""
    ds = with_syntax(builders.us_image(WIDE), ExplicitVRBigEndian)
    ds.PixelData = WIDE.byteswap().tobytes()

    assert error(gray(reread(ds)), GRAY) == 0


def test_eight_bits_in_big_endian_words() -> None:
    """8-bit pixels that big endian devices pack in 16-bit words come out in order."""
    ds = with_syntax(builders.us_image(GRAY), ExplicitVRBigEndian)
    ds.add_new("PixelData", "OW", np.frombuffer(GRAY.tobytes(), "u2").byteswap().tobytes())

    assert error(gray(reread(ds)), GRAY) == 0


def test_bits_stored_sets_the_scale() -> None:
    """12 bits stored in 16 fill the gray scale."""
    ds = builders.us_image(WIDE >> 4, BitsStored=12, HighBit=11)

    assert error(gray(ds), GRAY) <= 1


def test_signed_pixels_start_at_black() -> None:
    """The lowest value of signed pixels is black, not a wrapped white."""
    signed = (WIDE.astype(np.int32) - 2**15).astype(np.int16)

    assert error(gray(builders.us_image(signed)), GRAY) == 0


def test_monochrome1_is_inverted() -> None:
    """MONOCHROME1 shows its lowest value white."""
    assert error(gray(builders.us_image(255 - GRAY, PhotometricInterpretation="MONOCHROME1")), GRAY) == 0


@pytest.mark.parametrize("planar_configuration", [0, 1])
@pytest.mark.parametrize(("photometric", "pixels"), [("RGB", RGB), ("YBR_FULL", YBR)])
def test_native_colour_gives_its_luma(
    photometric: str, pixels: NDArray[np.uint8], planar_configuration: int
) -> None:
    """RGB and YBR_FULL, by pixel or by plane, give the luma of the picture."""
    ds = builders.us_image(
        pixels, PhotometricInterpretation=photometric, PlanarConfiguration=planar_configuration
    )
    if planar_configuration == 1:
        ds.PixelData = planar(pixels)

    assert error(gray(ds), RGB_LUMA) <= 2


def test_native_ybr_422_is_upsampled() -> None:
    """Uncompressed YBR_FULL_422 (Y Y Cb Cr) gives its luma."""
    ds = builders.us_image(YBR, PhotometricInterpretation="YBR_FULL_422")
    pairs = YBR.reshape(64, 48, 2, 3)
    ds.PixelData = np.concatenate([pairs[..., 0], pairs[:, :, 0, 1:]], axis=-1).tobytes()

    assert error(gray(ds)[:, ::2], RGB_LUMA[:, ::2]) <= 2  # the odd columns share the chroma of their left


@pytest.mark.parametrize("syntax", ["explicit", "big endian", "RLE"])
def test_palette_colour_goes_through_its_tables(syntax: str) -> None:
    """Palette indices give the luma of their colours, whatever byte order the tables have."""
    tables = np.random.default_rng(1).integers(0, 256, (3, 256), dtype=np.uint8)
    ds = builders.us_image(GRAY, PhotometricInterpretation="PALETTE COLOR")
    order = ">u2" if syntax == "big endian" else "<u2"
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{colour}PaletteColorLookupTableData", (table.astype("u2") << 8).astype(order).tobytes())
        ds[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"

    found = frame_rgb(reread(LOSSLESS[syntax](ds)))

    assert np.array_equal(found, tables.T[GRAY])


@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "colour"])
def test_jpeg_baseline_is_near(pixels: NDArray[np.uint8]) -> None:
    """A JPEG baseline strip differs from the picture by compression only."""
    photometric = "YBR_FULL_422" if pixels.ndim == 3 else "MONOCHROME2"
    ds = builders.with_jpeg(
        builders.us_image(pixels), [builders.jpeg(pixels, subsampling="4:2:2")], photometric=photometric
    )

    assert error(gray(reread(ds)), RGB_LUMA if pixels.ndim == 3 else GRAY) <= 12


def test_a_real_jpeg_is_what_a_viewer_shows() -> None:
    """The wrapped GE picture decodes to what Pillow shows of the file."""
    ds = real_image("lv_ge_commons.jpg")
    viewed = np.asarray(Image.open(REAL_IMAGES / "lv_ge_commons.jpg").convert("RGB"))

    assert np.abs(frame_rgb(ds).astype(float) - viewed).mean() < 1  # decoders differ in smoothing the chroma


@pytest.mark.parametrize(("syntax", "tolerance"), [(JPEGLSNearLossless, 3), (JPEG2000, 12)])
def test_lossy_syntaxes_are_near(syntax: str, tolerance: int) -> None:
    """Near-lossless JPEG-LS and lossy JPEG 2000 differ by compression only."""
    options = {"jls_error": 3} if syntax == JPEGLSNearLossless else {"j2k_cr": [4]}
    ds = compressed(builders.us_image(GRAY), syntax, **options)

    assert 0 < error(gray(reread(ds)), GRAY) <= tolerance


@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "colour"])
@pytest.mark.parametrize(
    ("command", "tolerance"),
    [
        ("dcmcjpeg +eb", 25),
        ("dcmcjpeg +ee", 25),
        ("dcmcjpeg +el", 0),
        ("dcmcjpeg +e1", 0),
        ("dcmcjpls", 0),
        ("dcmcrle", 0),
    ],
)
def test_what_another_toolkit_writes_is_read(
    command: str, tolerance: int, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    """JPEG baseline, extended, lossless (.57 and .70), JPEG-LS and RLE by DCMTK give the strip."""
    ds = dcmtk(builders.us_image(pixels), tmp_path, command)

    assert error(gray(ds), RGB_LUMA if pixels.ndim == 3 else GRAY) <= tolerance


@pytest.mark.parametrize("command", ["dcmcjpeg +e1", "dcmcjpls"])
def test_sixteen_bits_of_another_toolkit(command: str, tmp_path: Path) -> None:
    """16-bit lossless JPEG and JPEG-LS of DCMTK are scaled like any other."""
    assert error(gray(dcmtk(builders.us_image(WIDE), tmp_path, command)), GRAY) <= 1


@pytest.mark.parametrize("name", ["explicit", "big endian", "RLE", "JPEG-LS", "JPEG 2000"])
def test_each_frame_of_a_clip_is_itself(name: str) -> None:
    """Any frame of a multi-frame image is read by its index."""
    ds = reread(LOSSLESS[name](builders.us_image(FRAMES)))

    assert [error(gray(ds, frame), FRAMES[frame]) for frame in (0, 3, 4)] == [0, 0, 0]
    with pytest.raises(PixelDataError):
        gray(ds, 5)


def test_only_the_frame_asked_for_is_decoded() -> None:
    """A clip whose other frames are garbage still gives its good one."""
    good = builders.jpeg(GRAY)
    ds = builders.with_jpeg(
        builders.us_image(FRAMES[:3]), [b"\0\0", good, b"\1\1"], photometric="MONOCHROME2"
    )

    assert error(gray(reread(ds), 1), GRAY) <= 12
    with pytest.raises(PixelDataError):
        gray(ds, 2)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(None, [0]), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (5, [1, 2, 3, 4]), (120, [29, 59, 89, 119])],
)
def test_a_clip_is_looked_at_four_times(count: int | None, expected: list[int]) -> None:
    """Up to four frames, evenly spread, the last one always among them."""
    assert frames_to_analyse(builders.us_image(GRAY, NumberOfFrames=count)) == expected


@given(st.integers(1, 100_000))
def test_the_last_frame_is_always_analysed(count: int) -> None:
    """Whatever the length of a clip, its frames are distinct, ascending, inside it and end with the last."""
    ds = Dataset()
    ds.NumberOfFrames = count

    frames = frames_to_analyse(ds)

    assert frames == sorted(set(frames))
    assert frames[0] >= 0
    assert frames[-1] == count - 1
    assert len(frames) == min(count, 4)


def test_the_overlay_gets_the_picture_in_colour() -> None:
    """`frame_rgb` has the rows and columns of the source, gray ones in three equal channels."""
    assert np.array_equal(frame_rgb(builders.us_image(RGB)), RGB)
    assert np.array_equal(frame_rgb(builders.us_image(GRAY)), np.repeat(GRAY[..., np.newaxis], 3, axis=-1))


@pytest.mark.parametrize(
    "name",
    [
        "examples_palette.dcm",
        "gdcm-US-ALOKA-16.dcm",
        "gdcm-US-ALOKA-16_big.dcm",
        "OBXXXX1A_expb.dcm",
        "US1_J2KI.dcm",
        "US1_J2KR.dcm",
        "color3d_jpeg_baseline.dcm",
        "JPGLosslessP14SV1_1s_1f_8b.dcm",
        "examples_ybr_color.dcm",
        "ExplVR_BigEnd.dcm",
        "JPGExtended.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
    ],
)
def test_pictures_of_real_devices_are_shown(name: str) -> None:
    """Sample files of many devices and encodings decode to a picture that is not flat."""
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"pydicom-data's {name} is not installed")
    ds = pydicom.dcmread(path)

    found = frame_rgb(ds, frames_to_analyse(ds)[-1])

    assert found.shape == (ds.Rows, ds.Columns, 3)
    assert found.std() > 1


def test_palette_byte_orders_agree() -> None:
    """The little and big endian copy of one palette image of a real device look the same."""
    paths = [get_testdata_file(name, download=False) for name in ("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm")]
    if None in paths:
        pytest.skip("pydicom-data is not installed")
    little, big = (frame_rgb(pydicom.dcmread(path)) for path in paths)

    assert np.array_equal(little, big)


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({"Rows": 0}, PixelDataError),
        ({"Rows": None}, PixelDataError),
        ({"Columns": None}, PixelDataError),
        ({"SamplesPerPixel": 2}, PixelDataError),
        ({"SamplesPerPixel": None}, PixelDataError),
        ({"BitsAllocated": 32}, PixelDataError),
        ({"BitsAllocated": 0}, PixelDataError),
        ({"BitsStored": 40}, PixelDataError),
        ({"BitsStored": 0}, PixelDataError),
        ({"PixelRepresentation": None}, PixelDataError),
        ({"PhotometricInterpretation": "YBR_PARTIAL_420"}, PixelDataError),
        ({"PhotometricInterpretation": "RGB"}, PixelDataError),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, PixelDataError),
        ({"PhotometricInterpretation": None}, PixelDataError),
        ({"NumberOfFrames": -3}, PixelDataError),
        ({"NumberOfFrames": 2**31}, TooLarge),
        ({"Rows": 65535, "Columns": 65535}, TooLarge),
        ({"Rows": 65}, PixelDataError),
        ({"NumberOfFrames": 2}, PixelDataError),
        ({"PixelData": None}, NoPixelData),
        ({"PixelData": b""}, NoPixelData),
    ],
    ids=str,
)
def test_absurd_headers_are_refused(attributes: dict[str, object], refusal: type[InferenceError]) -> None:
    """Missing, contradictory or huge image attributes are refused before or while decoding."""
    with pytest.raises(refusal):
        frame_rgb(builders.us_image(GRAY, **attributes), 0)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("Rows", "LO", "64"),
        ("Columns", "OB", b"\x60\x00"),
        ("NumberOfFrames", "LO", "many"),
        ("PixelData", "LT", "x"),
    ],
)
def test_wrong_value_representations_are_refused(keyword: str, vr: str, value: object) -> None:
    """Image attributes written with another VR are refused, not interpreted."""
    ds = builders.us_image(GRAY)
    ds.add_new(keyword, vr, value)

    with pytest.raises(PixelDataError):
        frame_rgb(ds)


@pytest.mark.parametrize("descriptor", [256, [256, 0], [256, 0, 12], [300, 0, 16]], ids=str)
def test_damaged_palettes_are_refused(descriptor: object) -> None:
    """A palette whose descriptor is cut, odd or longer than its tables is no palette."""
    ds = builders.us_image(GRAY, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", descriptor)
        ds.add_new(f"{colour}PaletteColorLookupTableData", "OW", bytes(512))

    with pytest.raises(PixelDataError):
        frame_rgb(ds)


def test_absurd_offset_tables_are_refused() -> None:
    """An extended offset table that points beyond any file is refused."""
    ds = builders.with_jpeg(builders.us_image(GRAY), [builders.jpeg(GRAY)], photometric="MONOCHROME2")
    ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = b"\xff" * 8, b"\xff" * 8

    with pytest.raises(PixelDataError):
        gray(ds)


def test_a_data_set_without_transfer_syntax_is_refused() -> None:
    """Without a transfer syntax nothing is guessed; nor is anything about video."""
    ds = builders.us_image(GRAY)
    with pytest.raises(PixelDataError, match="No pixel data decoders"):
        frame_rgb(with_syntax(ds, pydicom.uid.MPEG4HP41))

    del ds.file_meta.TransferSyntaxUID
    with pytest.raises(PixelDataError, match="transfer syntax is not stated"):
        frame_rgb(ds)


@pytest.mark.parametrize("name", ["RLE", "JPEG-LS", "JPEG 2000", "JPEG", "JPEG +e1"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.99])
def test_cut_streams_are_refused(name: str, kept: float, tmp_path: Path) -> None:
    """A coded frame without its end is no picture, even where a decoder would fill the rest with noise."""
    if name == "JPEG":
        ds = builders.with_jpeg(builders.us_image(GRAY), [builders.jpeg(GRAY)], photometric="MONOCHROME2")
    elif name == "JPEG +e1":
        ds = dcmtk(builders.us_image(GRAY), tmp_path, "dcmcjpeg +e1")
    else:
        ds = LOSSLESS[name](builders.us_image(GRAY))
    stream = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([stream[: max(2, int(len(stream) * kept))]])

    with pytest.raises(PixelDataError):
        gray(ds)


def _enlarged_jpeg() -> bytes:
    stream = builders.jpeg(GRAY)
    size = stream.index(struct.pack(">HH", *GRAY.shape))
    return stream[:size] + struct.pack(">HH", 65500, 65500) + stream[size + 4 :]


def test_a_stream_larger_than_its_header_is_never_decoded() -> None:
    """A few bytes that claim 65500 x 65500 pixels are refused by their claim, without allocating."""
    ds = builders.with_jpeg(builders.us_image(GRAY), [_enlarged_jpeg()], photometric="MONOCHROME2")

    with pytest.raises(PixelDataError, match="the coded frame has 65500 x 65500 x 1"):
        gray(ds)


@pytest.mark.parametrize("name", ["RLE", "JPEG-LS", "JPEG 2000", "JPEG"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_no_damaged_stream_surprises(name: str, damage: list[tuple[float, int]]) -> None:
    """A coded frame with damaged bytes gives pixels of the right size or a refusal."""
    if name == "JPEG":
        ds = builders.with_jpeg(builders.us_image(GRAY), [builders.jpeg(GRAY)], photometric="MONOCHROME2")
    else:
        ds = LOSSLESS[name](builders.us_image(GRAY))
    data = bytearray(ds.PixelData)
    for place, value in damage:
        data[int(place * len(data))] = value
    ds.PixelData = bytes(data)

    try:
        assert gray(ds).shape == GRAY.shape
    except InferenceError as refusal:
        assert refusal.reason == "undecodable"  # noqa: PT017 - either outcome is right, this one has a rule


def test_warnings_of_the_libraries_stay_inside() -> None:
    """Padding that pydicom warns of is no reason to warn the operator."""
    ds = builders.us_image(GRAY)
    ds.PixelData += b"\0" * 10

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gray(ds)

    assert not seen
