"""From stored values to what a screen shows, for any photometric interpretation (PS3.3 C.7.6.3.1.2)."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels import apply_color_lut, convert_color_space

from inference.errors import PixelDataError
from inference.image.attributes import attribute
from inference.image.decoders import Stored
from inference.image.palette import check_length

WHITE = 255
BYTE_BITS = 8
COLOUR_NDIM = 3  # rows, columns, samples


def as_displayed(stored: Stored, ds: Dataset, window: tuple[slice, slice]) -> NDArray[np.uint8]:
    """Return `window` of a frame as displayed: (h, w) gray or (h, w, 3) RGB.

    Raises:
        PixelDataError: a photometric interpretation that is not supported.
        MALFORMED: damaged palettes.
    """
    stored = replace(stored, values=stored.values[window])
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


def _eight_bits(stored: Stored) -> NDArray[np.uint8]:
    """Return stored values scaled from BitsStored to 0..255; signed ones are offset to start at 0."""
    full = 2**stored.bits - 1
    if full == WHITE and stored.values.dtype == np.uint8:
        return stored.values
    lifted = stored.values.astype(np.float32) + (2 ** (stored.bits - 1) if stored.signed else 0)
    return rounded(np.clip(lifted, 0, full) * (WHITE / full))


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


def rounded(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the nearest whole numbers."""
    whole: NDArray[np.uint8] = np.rint(values).astype(np.uint8)
    return whole
