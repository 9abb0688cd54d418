"""From data set and region to a grayscale strip, for any transfer syntax and photometric interpretation."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, convert_color_space, get_decoder
from pydicom.uid import UID, RLELossless

from inference.errors import NoPixelData, PixelDataError, TooLarge
from inference.image.attributes import MALFORMED, attribute, image_size, integer
from inference.image.codestream import stream_size
from inference.image.palette import check_length
from inference.types import MModeRegion, MModeStrip

MAX_FRAME_BYTES = 64 * 2**20
"""Greatest decoded frame."""
MAX_FRAMES = 100_000
FRAMES_PER_CLIP = 4
"""Frames of a clip that are analysed."""
RLE_HEADER_BYTES = 64
WHITE = 255
BYTE_BITS = 8
COLOUR_NDIM = 3  # rows, columns, samples
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as YBR_FULL (PS3.3 C.7.6.3.1.2)


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """Stored values of one frame, colour by pixel, and how to interpret them."""

    values: NDArray[Any]
    photometric: str
    bits: int
    signed: bool


def strip(ds: Dataset, region: MModeRegion, frame: int = 0) -> MModeStrip:
    """Return the grayscale pixels of `region`, which must come from this data set.

    Raises:
        NoPixelData: there are none.
        TooLarge: a frame or the number of frames is beyond the limits.
        PixelDataError: corrupt, truncated, or of a kind no decoder here reads.
    """
    window = (slice(region.y0, region.y1 + 1), slice(region.x0, region.x1 + 1))
    shown = _shown(ds, frame, window)
    return MModeStrip(pixels=_gray(shown), region=region, frame=frame)


def frame_rgb(ds: Dataset, frame: int = 0) -> NDArray[np.uint8]:
    """Return one whole frame as (Rows, Columns, 3) RGB; raises as `strip` does."""
    shown = _shown(ds, frame, (slice(None), slice(None)))
    return shown if shown.ndim == COLOUR_NDIM else np.repeat(shown[..., np.newaxis], 3, axis=2)


def frames_to_analyse(ds: Dataset) -> list[int]:
    """Return the last frame and up to three before it, spread evenly, in ascending order.

    The last is always included: a scrolling strip is fullest at the end of its clip.

    Raises:
        TooLarge: more than `MAX_FRAMES` frames.
        PixelDataError: NumberOfFrames is not a positive number.
    """
    count = _frame_count(ds)
    return sorted({math.ceil(count * part / FRAMES_PER_CLIP) - 1 for part in range(1, FRAMES_PER_CLIP + 1)})


def _shown(ds: Dataset, frame: int, window: tuple[slice, slice]) -> NDArray[np.uint8]:
    """Decode one frame and return `window` of it as displayed: (h, w) gray or (h, w, 3) RGB.

    Errors of the decoders become `PixelDataError` here. Their warnings, about repairs such as padding and
    JFIF markers, are silenced.
    """
    _check_bounds(ds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = _decode(ds, frame, window)
            return _as_displayed(stored, ds)
    except MALFORMED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PixelDataError(reason[:300]) from error


def _check_bounds(ds: Dataset) -> None:
    """Check presence and size of the pixel data before anything is allocated for it."""
    if not attribute(ds, "PixelData"):
        raise NoPixelData
    if _frame_bytes(ds) > MAX_FRAME_BYTES:
        raise TooLarge(
            f"a frame of {ds.Columns} x {ds.Rows} pixels has {_frame_bytes(ds)} bytes, "
            f"the limit is {MAX_FRAME_BYTES}"
        )
    _frame_count(ds)


def _frame_bytes(ds: Dataset) -> int:
    """Return the size of a decoded frame."""
    rows, columns = image_size(ds)
    samples, bits = integer(ds, "SamplesPerPixel"), integer(ds, "BitsAllocated")
    if samples not in (1, 3) or bits not in (8, 16):
        raise PixelDataError(f"SamplesPerPixel is {samples}, BitsAllocated is {bits}")
    return rows * columns * samples * bits // 8


def _frame_count(ds: Dataset) -> int:
    count = integer(ds, "NumberOfFrames") if "NumberOfFrames" in ds else 1
    if count is None or count < 1:
        raise PixelDataError(f"NumberOfFrames is {count}")
    if count > MAX_FRAMES:
        raise TooLarge(f"NumberOfFrames is {count}, the limit is {MAX_FRAMES}")
    return count


def _decode(ds: Dataset, frame: int, window: tuple[slice, slice]) -> _Stored:
    syntax = attribute(getattr(ds, "file_meta", Dataset()), "TransferSyntaxUID")
    if not isinstance(syntax, UID):
        raise PixelDataError("the transfer syntax is not stated")
    decoder = get_decoder(syntax)
    if syntax.is_compressed:
        _check_stream(ds, frame, syntax)
    values, found = decoder.as_array(ds, index=frame, raw=True)
    return _Stored(
        values=values[window],
        photometric=str(found["photometric_interpretation"]),
        bits=int(found["bits_stored"]),
        signed=found["pixel_representation"] == 1,
    )


def _check_stream(ds: Dataset, frame: int, syntax: UID) -> None:
    """Check that a coded frame decodes to the size the data set states (PS3.5 8.2)."""
    tables = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths) if "ExtendedOffsetTable" in ds else None
    stream = get_frame(ds.PixelData, frame, number_of_frames=_frame_count(ds), extended_offsets=tables)
    if syntax == RLELossless:
        size_bytes = _frame_bytes(ds)
        if len(stream) > RLE_HEADER_BYTES + 2 * size_bytes:
            raise PixelDataError(f"{len(stream)} bytes of RLE for a frame of {size_bytes}")
        return
    size = stream_size(stream)
    if (size.rows, size.columns, size.samples) != (ds.Rows, ds.Columns, ds.SamplesPerPixel):
        raise PixelDataError(
            f"the coded frame has {size.columns} x {size.rows} x {size.samples} samples, "
            f"the data set says {ds.Columns} x {ds.Rows} x {ds.SamplesPerPixel}"
        )


def _as_displayed(stored: _Stored, ds: Dataset) -> NDArray[np.uint8]:
    colour = stored.values.ndim == COLOUR_NDIM
    match stored.photometric, colour:
        case "MONOCHROME1", False:
            return WHITE - _eight_bits(stored)
        case ("MONOCHROME2", False) | ("RGB", True):
            return _eight_bits(stored)
        case (("YBR_FULL" | "YBR_FULL_422"), True):
            return np.asarray(convert_color_space(_eight_bits(stored), "YBR_FULL", "RGB"))
        case "PALETTE COLOR", False:
            return _through_palette(stored.values, ds)
    # The value is not quoted: it may be arbitrary text, and this message is logged.
    samples = 3 if colour else 1
    raise PixelDataError(f"PhotometricInterpretation is not supported with {samples} samples per pixel")


def _eight_bits(stored: _Stored) -> NDArray[np.uint8]:
    """Return stored values scaled from BitsStored to 0..255; signed ones are offset to start at 0."""
    full = 2**stored.bits - 1
    if full == WHITE and stored.values.dtype == np.uint8:
        return stored.values
    lifted = stored.values.astype(np.float32) + (2 ** (stored.bits - 1) if stored.signed else 0)
    return _rounded(np.clip(lifted, 0, full) * (WHITE / full))


def _through_palette(values: NDArray[Any], ds: Dataset) -> NDArray[np.uint8]:
    """Return the RGB of palette indices; 16-bit tables keep their high byte (PS3.3 C.7.6.3.1.5)."""
    _check_palette(ds)
    rgb: NDArray[Any] = apply_color_lut(values, ds)[..., :COLOUR_NDIM]
    big_endian = not ds.file_meta.TransferSyntaxUID.is_little_endian
    if rgb.itemsize == 1 and (big_endian or values.itemsize > 1):
        raise PixelDataError("an 8-bit palette for 16-bit pixels or in big endian is not supported")
    if big_endian and "RedPaletteColorLookupTableData" in ds:
        rgb = rgb.byteswap()  # pydicom respects the byte order of segmented tables only
    return (rgb >> 8 * (rgb.itemsize - 1)).astype(np.uint8)


def _check_palette(ds: Dataset) -> None:
    """Check that segmented tables do not expand beyond the limit of a table."""
    for colour in ("Red", "Green", "Blue", "Alpha"):
        data = attribute(ds, f"Segmented{colour}PaletteColorLookupTableData")
        if data:
            wide = ds.RedPaletteColorLookupTableDescriptor[2] > BYTE_BITS
            order = "<" if ds.file_meta.TransferSyntaxUID.is_little_endian else ">"
            check_length(np.frombuffer(data, f"{order}u2" if wide else "u1").tolist(), wide=wide)


def _gray(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of gray pixels, or the (h, w) luma of RGB pixels."""
    return _rounded(shown @ LUMA) if shown.ndim == COLOUR_NDIM else shown.copy()


def _rounded(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    whole: NDArray[np.uint8] = np.rint(values).astype(np.uint8)
    return whole
