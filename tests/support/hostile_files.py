"""DICOM files that lie, as hypothesis strategies.

Each begins as a valid ultrasound image in some transfer syntax; then attributes, regions, coded
streams or any of its bytes are changed. All of that on bytes: a library would refuse to write it.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from support import builders

MARKER: Final = "Zimperlich"
"""Part of the patient's name in every file; must not come out anywhere."""
GRAY: Final = builders.texture(48, 64)
RGB: Final = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=-1)
CLIP: Final = np.stack([builders.texture(48, 64, seed=seed) for seed in range(3)])
LIED_ABOUT: Final = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "PatientName", "PatientID", "PatientBirthDate"),
    *("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PlanarConfiguration", "PixelRepresentation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PhotometricInterpretation", "PixelData"),
    *("SequenceOfUltrasoundRegions", "RedPaletteColorLookupTableDescriptor"),
    "SegmentedRedPaletteColorLookupTableData",
)
LIED_ABOUT_REGIONS: Final = (
    *("RegionSpatialFormat", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection"),
    *("PhysicalDeltaX", "PhysicalDeltaY", "RegionLocationMinX0", "RegionLocationMinY0"),
    *("RegionLocationMaxX1", "RegionLocationMaxY1"),
)
REPEATED: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "SeriesInstanceUID"),
    *("SOPInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("InstanceNumber", "Manufacturer", "DeviceSerialNumber", "NumberOfFrames", "ImageType"),
)
LONG_VRS: Final = ("OB", "OW", "UN", "SQ", "UT")
VRS: Final = ("US", "SS", "UL", "SL", "FD", "FL", "DS", "IS", "LO", "UI", "AT", "PN", "AS", *LONG_VRS)
TEXTS: Final = (
    b"",
    b"-1",
    b"0",
    b"64",
    b"1e400",
    b"nan",
    b"inf",
    b"9" * 10_000,
    b"1\\2\\3",
    b"\xff\xfe",
    b"RGB ",
)
LIKELY: Final = (0, 1, 2, 3, 31, 47, 48, 63, 64, 65)
UNDEFINED: Final = 0xFFFFFFFF

Draw = Callable[[st.SearchStrategy[Any]], Any]


@cache
def images() -> Mapping[str, bytes]:
    """Return a valid file per kind."""
    return {name: _file(ds) for name, ds in _images()}


@cache
def streams() -> Mapping[str, Sequence[bytes]]:
    """Return the coded frames of each image that has some."""
    coded = {name: ds for name, ds in _images() if name.startswith(("RLE", "JPEG"))}
    return {name: list(_frames(ds)) for name, ds in coded.items()}


def _images() -> Iterator[tuple[str, FileDataset]]:
    yield "gray", _image(GRAY)
    yield "colour", _image(RGB)
    yield "implicit clip", _image(CLIP, ImplicitVRLittleEndian)
    yield "big endian words", _image(GRAY.astype(np.uint16) * 257, ExplicitVRBigEndian)
    yield "deflated", _image(GRAY, DeflatedExplicitVRLittleEndian)
    yield "palette", _with_palette(_image(GRAY, PhotometricInterpretation="PALETTE COLOR"))
    yield "RLE", _compressed(_image(RGB), RLELossless)
    yield "RLE clip", _compressed(_image(CLIP), RLELossless)
    yield "JPEG-LS", _compressed(_image(RGB), JPEGLSLossless)
    yield "JPEG 2000", _compressed(_image(GRAY), JPEG2000Lossless)
    yield "JPEG", builders.with_jpeg(_image(RGB), [builders.jpeg(RGB)])
    frames = [builders.jpeg(each) for each in CLIP]
    yield "JPEG clip", builders.with_jpeg(_image(CLIP), frames, photometric="MONOCHROME2")


def _image(pixels: Any, syntax: str | None = None, **attributes: Any) -> FileDataset:
    ds = builders.us_image(pixels, PatientName=f"{MARKER}^Anna", **attributes)
    if syntax:
        ds.file_meta.TransferSyntaxUID = syntax
    return ds


def _compressed(ds: FileDataset, syntax: str) -> FileDataset:
    ds.compress(syntax, generate_instance_uid=False)
    return ds


def _with_palette(ds: FileDataset) -> FileDataset:
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        ds[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
        table = struct.pack("<6H", 0, 1, 0, 1, 255, 65280)
        setattr(ds, f"Segmented{colour}PaletteColorLookupTableData", table)
    return ds


def _file(ds: FileDataset) -> bytes:
    """Write with undefined lengths, so that an element of a region may change its size."""
    ds["SequenceOfUltrasoundRegions"].is_undefined_length = True
    for item in ds.SequenceOfUltrasoundRegions:
        item.is_undefined_length_sequence_item = True
    return builders.file_bytes(ds)


def _frames(ds: FileDataset) -> Iterator[bytes]:

    yield from generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1)))


def element(keyword: str, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """Encode an element in Explicit VR Little Endian, however little value and VR agree."""
    tag = tag_for_keyword(keyword) or 0
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    size = len(value) if length is None else length
    if vr in LONG_VRS:
        return start + struct.pack("<HI", 0, size) + value
    return start + struct.pack("<H", size & 0xFFFF) + value[:0xFFFF]


def replaced(whole: bytes, keyword: str, new: bytes) -> bytes:
    """Put `new` in the place of an element of an Explicit VR Little Endian file; unchanged if it has none."""
    tag = tag_for_keyword(keyword) or 0
    at = whole.find(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
    if at < 0:
        return whole
    if whole[at + 4 : at + 6].decode("latin-1") in LONG_VRS:
        (length,), start = struct.unpack_from("<I", whole, at + 8), at + 12
    else:
        (length,), start = struct.unpack_from("<H", whole, at + 6), at + 8
    if length == UNDEFINED:  # up to the end: that of the pixels; or up to the pixels: the regions
        end = len(whole) if keyword == "PixelData" else whole.find(b"\xfe\xff\xdd\xe0", at) + 8
    else:
        end = start + length
    return whole[:at] + new + whole[end:]


@st.composite
def numbers(draw: Draw) -> bytes:
    """Draw the bytes of a number, mostly an unlikely one."""
    form = draw(st.sampled_from("HhIifd"))
    if form in "fd":
        return struct.pack(f"<{form}", draw(st.floats(width=32)))
    bits = 8 * struct.calcsize(form)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if form.islower() else (0, (1 << bits) - 1)
    return struct.pack(f"<{form}", draw(st.sampled_from((low, high, *LIKELY)) | st.integers(low, high)))


@st.composite
def lies(draw: Draw, keywords: Sequence[str]) -> tuple[str, bytes]:
    """Draw a keyword and an element that claims to be it."""
    keyword = draw(st.sampled_from(keywords))
    true_vr = dictionary_VR(tag_for_keyword(keyword) or 0)[:2]
    vr = draw(st.sampled_from((true_vr, true_vr, *VRS)))
    value = draw(numbers() | st.sampled_from(TEXTS) | st.binary(max_size=40) | numbers().map(lambda n: n * 3))
    length = draw(st.sampled_from((None, None, None, UNDEFINED, 0xFFFE)))
    return keyword, element(keyword, vr, value, length=length)


@st.composite
def lying_headers(draw: Draw) -> bytes:
    """Draw a file with one to four attributes changed, of the image or of its region."""
    whole = images()[draw(st.sampled_from([name for name in images() if name not in NOT_EXPLICIT_LITTLE]))]
    told = draw(st.lists(lies(LIED_ABOUT), min_size=1, max_size=2))
    told += draw(st.lists(lies(LIED_ABOUT_REGIONS), max_size=2))
    for keyword, lie in told:
        whole = replaced(whole, keyword, lie)
    return whole


NOT_EXPLICIT_LITTLE: Final = ("implicit clip", "big endian words", "deflated")


@st.composite
def odd_regions(draw: Draw) -> bytes:
    """Draw a file with up to twenty regions: negative, overlapping, infinite, or quite good ones."""
    items = b"".join(draw(st.lists(regions(), max_size=5)))
    sequence = element("SequenceOfUltrasoundRegions", "SQ", items)
    return replaced(images()["gray"], "SequenceOfUltrasoundRegions", sequence)


@st.composite
def regions(draw: Draw) -> bytes:
    """Draw an item of the sequence."""
    first = st.sampled_from((0, 0, 0, -1, -2, 16, 2**31 - 1, -(2**31)))
    last = st.sampled_from((47, 47, 48, 63, 64, 65, 31, 0, -1, 2**31 - 1))
    delta = st.sampled_from((0.04, 0.04, -0.04, 0.0, 1e-320, 1e300)) | st.floats()
    body = element("RegionSpatialFormat", "US", struct.pack("<H", draw(st.sampled_from((2, 2, 2, 1, 65535)))))
    for name, value in (("MinX0", first), ("MinY0", first), ("MaxX1", last), ("MaxY1", last)):
        body += element(f"RegionLocation{name}", "SL", struct.pack("<i", draw(value)))
    for axis, unit in (("X", 4), ("Y", 3)):
        code = draw(st.sampled_from((unit, unit, unit, unit, 0, 65535)))
        body += element(f"PhysicalUnits{axis}Direction", "US", struct.pack("<H", code))
    for axis in "XY":
        body += element(f"PhysicalDelta{axis}", "FD", struct.pack("<d", draw(delta)))
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body


@st.composite
def mutations(draw: Draw, whole: bytes) -> bytes:
    """Draw a copy of `whole` with bytes changed, cut out, doubled, or the rest lost."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, max(0, len(data) - 1))), draw(st.integers(1, 64))
        match draw(st.sampled_from(("change", "extreme", "cut", "double", "lose"))):
            case "change":
                data[at : at + 4] = draw(st.binary(min_size=1, max_size=4))
            case "extreme":
                data[at : at + 4] = draw(
                    st.sampled_from((b"\xff" * 4, b"\0" * 4, b"\xff\xff\0\0", b"\x80\0\0\0"))
                )
            case "cut":
                del data[at : at + length]
            case "double":
                data[at:at] = data[at : at + length] * draw(st.integers(1, 9))
            case _:
                del data[at:]
    return bytes(data)


@st.composite
def broken_streams(draw: Draw) -> bytes:
    """Draw a file whose coded frames are broken, spliced, or of another encoding, beside a true header."""
    name = draw(st.sampled_from(sorted(streams())))
    donor = draw(st.sampled_from((name, name, name, *sorted(streams()))))
    coded = encapsulate([draw(mutations(frame)) or b"\0\0" for frame in streams()[donor]])
    if draw(st.booleans()):
        coded = draw(mutations(coded))
    pixels = element("PixelData", "OB", coded + b"\xfe\xff\xdd\xe0\0\0\0\0", length=UNDEFINED)
    return replaced(images()[name], "PixelData", pixels)


@st.composite
def broken_files(draw: Draw) -> bytes:
    """Draw a file of which any byte may be broken but its preamble."""
    whole = images()[draw(st.sampled_from(sorted(images())))]
    return whole[:132] + draw(mutations(whole[132:]))


@st.composite
def lying_patients(draw: Draw) -> bytes:
    """Draw a file whose picture is good and whose words, which reports repeat, are not."""
    whole = images()["gray"]
    for keyword, lie in draw(st.lists(lies(REPEATED), min_size=1, max_size=3)):
        whole = replaced(whole, keyword, lie)
    return whole
