"""libjpeg-turbo as a plugin of pydicom's decoders: every process of T.81 that DICOM has, up to 16 bits."""

from typing import Any

from imagecodecs import jpeg8_decode
from pydicom.uid import UID, JPEGTransferSyntaxes

from inference.image.jpeg import SOF_LOSSLESS, jpeg_header
from inference.image.jpeg_lossless import check_lossless

BYTE_BITS = 8
UNCHANGED = "YCBCR"
"""The same colours for input and output: none are converted, whichever they are."""
DECODER_DEPENDENCIES = dict.fromkeys(JPEGTransferSyntaxes, ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Tell pydicom whether this plugin decodes a transfer syntax."""
    return UID(uid) in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: Any) -> bytes:
    """Return the samples of one frame by pixel, as coded; `runner` is pydicom's `DecodeRunner`.

    Raises:
        ValueError: damaged, or lossless and decoded to other samples than were coded.
        RuntimeError: libjpeg's own reasons.
    """
    header = jpeg_header(src)
    colours = UNCHANGED if len(header.identifiers) > 1 else None
    samples = jpeg8_decode(src, colorspace=colours, outcolorspace=colours)
    if header.process == SOF_LOSSLESS:
        samples &= (1 << header.precision) - 1  # libjpeg leaves what T.81 H.2.1 calls modulo in the container
        check_lossless(src, samples)
    runner.set_option("bits_allocated", BYTE_BITS * samples.itemsize)
    return samples.tobytes()
