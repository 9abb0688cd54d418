"""What devices write and no standard allows: colours, boxes, tables and delimiters that contradict it."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from support import builders, lossless_jpeg

from inference.analyse import measure_region
from inference.errors import NoPixelData, PixelDataError
from inference.image.decoded import decoded_region
from inference.image.pixels import frame_rgb, readable_strips, strip
from inference.image.reading import read_image
from inference.image.regions import mmode_regions
from inference.types import UNKNOWN_PATIENT, RefusedFrame

GRAY = builders.texture(48, 64)
RGB = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=-1)
SMOOTH = np.asarray(Image.fromarray(RGB).resize((16, 12)).resize((64, 48)))
FRAMES = np.stack([builders.texture(48, 64, seed=seed) for seed in range(8)])
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
ADOBE_RGB, ADOBE_YCC = (b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([each]) for each in (0, 1))


def coded(pixels: NDArray[Any], streams: list[bytes], syntax: str, **attributes: Any) -> FileDataset:
    """Return an image whose pixel data are these streams, one per frame."""
    ds = builders.us_image(pixels, **attributes)
    ds.PixelData = encapsulate(streams)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the mean difference of two pictures."""
    assert found.shape == expected.shape
    return float(np.abs(found.astype(float) - expected).mean())


def jpeg(
    *, app: bytes = b"", identifiers: bytes = b"\1\2\3", rgb: bool = False, subsampling: int = 0
) -> bytes:
    """Return SMOOTH as JPEG baseline without Pillow's own application markers."""
    options = {"keep_rgb": True} if rgb else {"subsampling": subsampling}
    stream = builders.jpeg(SMOOTH, **options)
    while stream[2] == 0xFF and 0xE0 <= stream[3] <= 0xEF:
        stream = stream[:2] + stream[4 + struct.unpack_from(">H", stream, 4)[0] :]
    old = b"RGB" if rgb else b"\1\2\3"
    frame = stream.index(b"\xff\xc0")
    scan = stream.index(b"\xff\xda")
    out = bytearray(stream)
    for place in range(3):
        assert out[frame + 10 + 3 * place] == out[scan + 5 + 2 * place] == old[place]
        out[frame + 10 + 3 * place] = out[scan + 5 + 2 * place] = identifiers[place]
    return bytes(out[:2] + app + out[2:])


JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
STREAMS: dict[str, tuple[bytes, str]] = {
    "JFIF": (jpeg(app=JFIF), "RGB"),
    "Adobe says YCbCr": (jpeg(app=ADOBE_YCC, identifiers=b"\0\1\2"), "RGB"),
    "Adobe says YCbCr, letters": (jpeg(app=ADOBE_YCC, identifiers=b"RGB"), "RGB"),
    "components 1, 2, 3": (jpeg(), "RGB"),
    "subsampled": (jpeg(identifiers=b"\0\1\2", subsampling=1), "RGB"),
    "subsampled both ways": (jpeg(identifiers=b"\0\1\2", subsampling=2), "RGB"),
    "silent, header YBR_FULL": (jpeg(identifiers=b"\0\1\2"), "YBR_FULL"),
    "silent, header YBR_FULL_422": (jpeg(identifiers=b"\0\1\2"), "YBR_FULL_422"),
    "Adobe says RGB": (jpeg(app=ADOBE_RGB, identifiers=b"\1\2\3", rgb=True), "YBR_FULL_422"),
    "letters": (jpeg(identifiers=b"RGB", rgb=True), "YBR_FULL_422"),
    "small letters": (jpeg(identifiers=b"rgb", rgb=True), "YBR_FULL"),
    "silent, header RGB": (jpeg(identifiers=b"\0\1\2", rgb=True), "RGB"),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("planar", [0, 1])
def test_the_stream_decides_its_colours(name: str, planar: int) -> None:
    """Markers and component identifiers overrule the header, in overlays as in measuring."""
    stream, photometric = STREAMS[name]
    ds = coded(
        SMOOTH, [stream], JPEGBaseline8Bit, PhotometricInterpretation=photometric, PlanarConfiguration=planar
    )
    (region,) = mmode_regions(ds)
    luma = SMOOTH @ np.array([0.299, 0.587, 0.114])

    assert error(frame_rgb(ds), SMOOTH) < 4
    assert error(strip(ds, region).pixels, luma) < 4


@pytest.mark.parametrize(
    ("markers", "identifiers", "photometric", "is_ycbcr"),
    [
        (b"", b"\1\2\3", "RGB", False),
        (JFIF, b"\1\2\3", "RGB", False),
        (b"", b"RGB", "YBR_FULL", False),
        (ADOBE_RGB, b"\1\2\3", "YBR_FULL", False),
        (b"", b"\1\2\3", "YBR_FULL", True),
        (ADOBE_YCC, b"\1\2\3", "RGB", True),
    ],
)
def test_colours_of_lossless_streams(
    markers: bytes, identifiers: bytes, photometric: str, is_ycbcr: bool
) -> None:
    """JPEG Lossless transforms no colours, so only Adobe's marker and letters overrule the header."""
    stream = lossless_jpeg.encoded(RGB, markers=markers, identifiers=identifiers)
    ds = coded(RGB, [stream], JPEGLosslessSV1, PhotometricInterpretation=photometric)
    expected = convert_color_space(RGB, "YBR_FULL", "RGB") if is_ycbcr else RGB

    assert np.array_equal(frame_rgb(ds), expected)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_planar_configuration_beside_a_stream_means_nothing(syntax: str) -> None:
    """Colours by plane are a matter of native pixel data (PS3.3 C.7.6.3.1.3); 0, 1 or none at all."""
    for planar in (0, 1, None):
        ds = builders.us_image(RGB)
        ds.compress(
            syntax, generate_instance_uid=False, **({"encoding_plugin": "pydicom"} if "2.5" in syntax else {})
        )
        ds.PlanarConfiguration = planar
        if planar is None:
            del ds.PlanarConfiguration

        assert np.array_equal(frame_rgb(ds), RGB)


def jp2(*, transform: int = 1, ycc: bool = False) -> bytes:
    """Return RGB as a JP2 file."""
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG2000", mct=transform)
    data = stream.getvalue()
    place = data.index(b"colr") + 4
    return data[: place + 3] + struct.pack(">L", 18 if ycc else 16) + data[place + 7 :]


def box(kind: bytes, content: bytes, *, length: int | None = None) -> bytes:
    """Return one box."""
    return struct.pack(">L4s", len(content) + 8 if length is None else length, kind) + content


def test_jp2_boxes_are_opened() -> None:
    """A whole file, its codestream with a length of 0, 1 (64 bits), too much, and boxes of other kinds."""
    whole = jp2()
    codestream = whole[whole.index(b"\xff\x4f\xff\x51") :]
    start = whole[: whole.index(b"jp2c") - 4]
    long = struct.pack(">L4sQ", 1, b"jp2c", len(codestream) + 16) + codestream
    variants = [
        whole,
        start + box(b"jp2c", codestream, length=0),
        start + box(b"jp2c", codestream, length=1 << 30),
        start + long,
        start + box(b"uuid", bytes(20)) + box(b"jp2c", codestream) + box(b"xml ", b"<a/>"),
        box(b"jp2c", codestream),
    ]
    for frame in variants:
        for photometric in ("YBR_RCT", "RGB", "YBR_FULL"):
            ds = coded(RGB, [frame], JPEG2000Lossless, PhotometricInterpretation=photometric)
            assert np.array_equal(frame_rgb(ds), RGB)


def test_jp2_boxes_may_tell_the_colours() -> None:
    """Components that no transform has made YCbCr may be YCbCr by their box."""
    ds = coded(RGB, [jp2(transform=0, ycc=True)], JPEG2000Lossless)

    assert np.array_equal(frame_rgb(ds), convert_color_space(RGB, "YBR_FULL", "RGB"))


@pytest.mark.parametrize(
    "frame", [b"\0\0", jp2()[:40], jp2()[:12] + bytes(40), box(b"jp2c", b"\xff\x4f\xff\x51")]
)
def test_boxes_without_a_codestream_are_refused(frame: bytes) -> None:
    """Boxes that hold nothing are no picture."""
    with pytest.raises(PixelDataError):
        frame_rgb(coded(RGB, [frame], JPEG2000Lossless))


@pytest.mark.parametrize("value", ["", "0", " ", "0 ", None])
@pytest.mark.parametrize("syntax", ["native", "lossless"])
def test_no_number_of_frames_is_one(value: str | None, syntax: str, tmp_path: Path) -> None:
    """Empty, blank, 0 or absent: an image has at least one frame."""
    ds = builders.us_image(GRAY)
    if syntax == "lossless":
        ds = coded(GRAY, [lossless_jpeg.encoded(GRAY)], JPEGLosslessSV1)
    if value is not None:
        ds.add_new("NumberOfFrames", "LO", value)
    data = builders.file_bytes(ds).replace(b"\x28\x00\x08\x00LO", b"\x28\x00\x08\x00IS")
    path = tmp_path / "image.dcm"
    path.write_bytes(data)
    ds = read_image(path)
    (region,) = mmode_regions(ds)

    assert np.array_equal(frame_rgb(ds)[..., 0], GRAY)
    assert [each.frame for each in readable_strips(ds, region, [])] == [0]


def encapsulated_file(tmp_path: Path, change: Any, *, table: bool = True) -> FileDataset:
    """Return a clip of eight frames read from a file whose bytes were changed."""
    streams = [lossless_jpeg.encoded(each) for each in FRAMES]
    ds = coded(FRAMES, streams, JPEGLosslessSV1)
    ds.PixelData = encapsulate(streams, has_bot=table)
    data = builders.file_bytes(ds)
    assert data.endswith(DELIMITER)
    path = tmp_path / "clip.dcm"
    path.write_bytes(change(data))
    return read_image(path)


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("after", [b"", b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0\0\0\0\0", bytes(64), bytes(3)])
def test_a_missing_delimiter_loses_nothing(table: bool, after: bytes, tmp_path: Path) -> None:
    """All frames are there, whatever follows instead of the delimiter."""
    ds = encapsulated_file(tmp_path, lambda data: data.removesuffix(DELIMITER) + after, table=table)

    for frame, expected in enumerate(FRAMES):
        assert np.array_equal(frame_rgb(ds, frame)[..., 0], expected)


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("into", [-1, 0, 5, 500])
def test_a_file_cut_off_is_read_as_far_as_it_goes(table: bool, into: int, tmp_path: Path) -> None:
    """Frames before the cut are read, the others refused with the reason."""

    def cut(data: bytes) -> bytes:
        place = len(data)
        for _ in range(3):
            place = data.rindex(ITEM, 0, place)
        return data[: place + 8 + into]

    ds = encapsulated_file(tmp_path, cut, table=table)

    for frame, expected in enumerate(FRAMES[:5]):
        assert np.array_equal(frame_rgb(ds, frame)[..., 0], expected)
    for frame in (5, 6, 7):
        with pytest.raises(PixelDataError, match=f"pixel data end (before|inside) frame {frame + 1} of 8"):
            frame_rgb(ds, frame)


def test_a_file_cut_off_before_its_pixels_has_none(tmp_path: Path) -> None:
    """Without one fragment there is no frame."""
    ds = encapsulated_file(tmp_path, lambda data: data[: data.rindex(b"\xe0\x7f\x10\x00OB")])

    with pytest.raises(NoPixelData):
        frame_rgb(ds)


BAD_FRAMES = {
    "empty": b"\0\0",
    "zeros": bytes(900),
    "cut off": lossless_jpeg.encoded(FRAMES[3])[:700],
    "another size": lossless_jpeg.encoded(FRAMES[3][:40]),
    "colour": lossless_jpeg.encoded(RGB),
    "damaged": lossless_jpeg.encoded(FRAMES[3])[:900] + b"\xff\xd9",
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("table", [True, False])
def test_one_bad_frame_costs_that_frame(kind: str, fragments: int, table: bool) -> None:
    """The others are themselves; an earlier one is taken in its place."""
    streams = [lossless_jpeg.encoded(each) for each in FRAMES]
    streams[3] = BAD_FRAMES[kind]
    ds = coded(FRAMES, streams, JPEGLosslessSV1)
    many = fragments if len(streams[3]) > 10 else 1
    ds.PixelData = encapsulate(streams, fragments_per_frame=many, has_bot=table)
    (region,) = mmode_regions(ds)
    refused: list[RefusedFrame] = []

    if table or many == 1 or kind not in ("empty", "zeros"):
        strips = {each.frame: each.pixels for each in readable_strips(ds, region, refused)}

        assert sorted(strips) == [1, 2, 5, 7]
        assert all(np.array_equal(pixels, FRAMES[frame]) for frame, pixels in strips.items())
        assert [(each.frame, each.reason) for each in refused] == [(3, "undecodable")]


def test_a_clip_without_a_good_frame_is_refused() -> None:
    """The reason is that of a frame, and all that were tried are named."""
    ds = coded(FRAMES, [b"\0\0"] * 8, JPEGLosslessSV1)
    (region,) = mmode_regions(ds)

    result = measure_region(decoded_region(ds, region), None, UNKNOWN_PATIENT)  # type: ignore[arg-type] # no model is needed

    assert (result.status, result.reason) == ("not_measured", "undecodable")
    assert [each.frame for each in result.refused_frames] == list(range(8))


def test_a_still_that_cannot_be_decoded_names_no_frame() -> None:
    """There is only one: its reason is that of the image."""
    ds = coded(GRAY, [b"\0\0"], JPEGLosslessSV1)
    (region,) = mmode_regions(ds)

    result = measure_region(decoded_region(ds, region), None, UNKNOWN_PATIENT)  # type: ignore[arg-type] # no model is needed

    assert (result.reason, result.refused_frames) == ("undecodable", ())


@pytest.mark.parametrize("wrong", [4, 8, 10_000_000])
def test_an_offset_table_that_points_to_no_item_is_no_table(wrong: int) -> None:
    """Frames are found by their fragments then."""
    streams = [lossless_jpeg.encoded(each) for each in FRAMES]
    ds = coded(FRAMES, streams, JPEGLosslessSV1)
    bare = encapsulate(streams, has_bot=False)
    table = struct.pack("<8L", *(wrong * place + wrong for place in range(8)))
    ds.PixelData = ITEM + struct.pack("<L", len(table)) + table + bare[8:]

    assert [np.array_equal(frame_rgb(ds, each)[..., 0], FRAMES[each]) for each in range(8)] == [True] * 8
