"""Which decoder reads which transfer syntax: one each, whatever else is installed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEGTransferSyntaxes,
    RLELossless,
)

from inference.errors import PixelDataError
from inference.image.attributes import attribute, integer
from inference.image.codestream import coded_frame
from inference.image.encapsulated import frame_stream

LIBJPEG_TURBO, CHARLS, OPENJPEG, PYDICOM = "libjpeg-turbo", "pyjpegls", "pylibjpeg", "pydicom"
"""Names of plugins of pydicom's decoders; the first one is ours."""
DECODERS: Final[Mapping[UID, str]] = {
    JPEGBaseline8Bit: LIBJPEG_TURBO,
    JPEGExtended12Bit: LIBJPEG_TURBO,
    JPEGLossless: LIBJPEG_TURBO,
    JPEGLosslessSV1: LIBJPEG_TURBO,
    JPEGLSLossless: CHARLS,
    JPEGLSNearLossless: CHARLS,
    JPEG2000Lossless: OPENJPEG,
    JPEG2000: OPENJPEG,
    HTJ2KLossless: OPENJPEG,
    HTJ2KLosslessRPCL: OPENJPEG,
    HTJ2K: OPENJPEG,
    RLELossless: PYDICOM,
}
"""Every compressed transfer syntax whose pixels are read."""
RLE_HEADER_BYTES = 64

for _syntax in JPEGTransferSyntaxes:
    get_decoder(_syntax).add_plugin(LIBJPEG_TURBO, ("inference.image.libjpeg_turbo", "decode_frame"))


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Stored values of one frame, colour by pixel, and how to interpret them."""

    values: NDArray[Any]
    photometric: str
    bits: int
    signed: bool


def decode(ds: Dataset, frame: int, count: int, size_bytes: int) -> Stored:
    """Return one frame of `count`, an index from 0, which has `size_bytes` by the data set.

    Raises:
        PixelDataError: no transfer syntax, or the stream contradicts the data set.
        MALFORMED: of the decoders.
    """
    syntax = attribute(getattr(ds, "file_meta", Dataset()), "TransferSyntaxUID")
    if not isinstance(syntax, UID):
        raise PixelDataError("the transfer syntax is not stated")
    decoder = get_decoder(syntax)
    if not syntax.is_compressed:
        values, found = decoder.as_array(ds.PixelData, index=frame, raw=True, **_native(ds, count))
        return _stored(values, found, str(found["photometric_interpretation"]))
    stream, photometric, bits = _stream(ds, frame_stream(ds, frame, count), syntax, size_bytes)
    values, found = decoder.as_array(
        encapsulate([stream]),
        index=0,
        raw=True,
        decoding_plugin=DECODERS[syntax],
        **_description(ds, bits),
    )
    return _stored(values, found, photometric)


def _stored(values: NDArray[Any], found: Mapping[str, Any], photometric: str) -> Stored:
    return Stored(
        values=np.asarray(values),
        photometric=photometric,
        bits=int(found["bits_stored"]),
        signed=found["pixel_representation"] == 1,
    )


def _stream(ds: Dataset, stream: bytes, syntax: UID, size_bytes: int) -> tuple[bytes, str, int | None]:
    """Return what to decode, what its samples mean, and how many bits they have.

    The stream must decode to the size that the data set states (PS3.5 8.2); where it tells its colours or
    has samples of fewer bits, it knows better.
    """
    photometric, bits = str(attribute(ds, "PhotometricInterpretation")), integer(ds, "BitsStored")
    if syntax == RLELossless:
        if len(stream) > RLE_HEADER_BYTES + 2 * size_bytes:
            raise PixelDataError(f"{len(stream)} bytes of RLE for a frame of {size_bytes}")
        return stream, photometric, bits
    coded = coded_frame(stream, syntax)
    if (coded.rows, coded.columns, coded.samples) != (ds.Rows, ds.Columns, ds.SamplesPerPixel):
        raise PixelDataError(
            f"the coded frame has {coded.columns} x {coded.rows} x {coded.samples} samples, "
            f"the data set says {ds.Columns} x {ds.Rows} x {ds.SamplesPerPixel}"
        )
    if coded.precision > ds.BitsAllocated:
        raise PixelDataError(f"coded samples of {coded.precision} bits, BitsAllocated is {ds.BitsAllocated}")
    if coded.samples > 1:
        photometric = coded.colours or ("RGB" if photometric in ("YBR_RCT", "YBR_ICT") else photometric)
    return coded.stream, photometric, None if bits is None else min(bits, coded.precision)


def _native(ds: Dataset, count: int) -> dict[str, Any]:
    """Return what pydicom is told of all frames of native pixel data."""
    return _description(ds, integer(ds, "BitsStored")) | {
        "photometric_interpretation": attribute(ds, "PhotometricInterpretation"),
        "planar_configuration": integer(ds, "PlanarConfiguration"),
        "number_of_frames": count,
        "pixel_vr": ds["PixelData"].VR,
    }


def _description(ds: Dataset, bits: int | None) -> dict[str, Any]:
    """Return what a decoder is told of one frame.

    PlanarConfiguration means nothing beside a compressed stream (PS3.3 C.7.6.3.1.3), and decoders shall
    convert no colours.
    """
    samples = integer(ds, "SamplesPerPixel")
    return {
        "rows": integer(ds, "Rows"),
        "columns": integer(ds, "Columns"),
        "samples_per_pixel": samples,
        "bits_allocated": integer(ds, "BitsAllocated"),
        "bits_stored": bits,
        "pixel_representation": integer(ds, "PixelRepresentation"),
        "photometric_interpretation": "MONOCHROME2" if samples == 1 else "RGB",
        "planar_configuration": 0,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
