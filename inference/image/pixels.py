"""From data set and region to a grayscale strip, for any transfer syntax and photometric interpretation."""

import math
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from inference.errors import NoPixelData, PixelDataError, TooLarge
from inference.image.attributes import MALFORMED, attribute, has_value, image_size, integer
from inference.image.colours import COLOUR_NDIM, as_displayed, rounded
from inference.image.decoders import decode
from inference.types import MModeRegion, MModeStrip, RefusedFrame

MAX_FRAME_BYTES = 64 * 2**20
"""Greatest decoded frame."""
MAX_FRAMES = 100_000
FRAMES_PER_CLIP = 4
"""Frames of a clip that are analysed."""
DECODING_TRIES = 3
"""Frames that are tried for each of these."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as YBR_FULL (PS3.3 C.7.6.3.1.2)


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
        PixelDataError: NumberOfFrames is negative or no number.
    """
    count = _frame_count(ds)
    return sorted({math.ceil(count * part / FRAMES_PER_CLIP) - 1 for part in range(1, FRAMES_PER_CLIP + 1)})


def readable_strips(
    dataset: Dataset, region: MModeRegion, refused: list[RefusedFrame]
) -> Iterator[MModeStrip]:
    """Yield the strip of each frame to analyse; those that cannot be decoded go to `refused`.

    For one that cannot be decoded, an earlier one that is not analysed anyway is tried.

    Raises:
        NoPixelData, TooLarge: no frame can be decoded.
    """
    before = -1
    for last in frames_to_analyse(dataset):
        for frame in range(last, max(before, last - DECODING_TRIES), -1):
            try:
                yield strip(dataset, region, frame)
                break
            except PixelDataError as error:
                refused.append(RefusedFrame(frame=frame, reason=error.reason, detail=str(error)))
        before = last


def _shown(ds: Dataset, frame: int, window: tuple[slice, slice]) -> NDArray[np.uint8]:
    """Decode one frame and return `window` of it as displayed: (h, w) gray or (h, w, 3) RGB.

    Errors of the decoders become `PixelDataError` here. Their warnings, about repairs such as padding and
    JFIF markers, are silenced.
    """
    _check_bounds(ds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return as_displayed(decode(ds, frame, _frame_count(ds), _frame_bytes(ds)), ds, window)
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
    """Return the number of frames; an image that states none has one."""
    count = integer(ds, "NumberOfFrames") if has_value(ds, "NumberOfFrames") else 0
    if count is None or count < 0:
        raise PixelDataError(f"NumberOfFrames is {count}")
    if count > MAX_FRAMES:
        raise TooLarge(f"NumberOfFrames is {count}, the limit is {MAX_FRAMES}")
    return max(count, 1)


def _gray(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of gray pixels, or the (h, w) luma of RGB pixels."""
    return rounded(shown @ LUMA) if shown.ndim == COLOUR_NDIM else shown.copy()
