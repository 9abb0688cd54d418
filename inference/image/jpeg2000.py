"""JPEG 2000 frames: the codestream in its boxes, and what it says of itself (T.800 annexes A and I)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SOC_SIZ = b"\xff\x4f\xff\x51"
"""A codestream starts with SOC, then SIZ (A.5.1)."""
COD, SOT = 0xFF52, 0xFF90
SIGNATURE = b"\x00\x00\x00\x0cjP  "
"""Start of a JP2 file (I.5.1)."""
FIRST_BOXES = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")
BOX_HEADER_BYTES, LONG_BOX_HEADER_BYTES = 8, 16
ENUMERATED, SYCC = 1, 18
"""METH and EnumCS of a colour specification box (I.5.3.3)."""
MAX_SEGMENTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Jpeg2000Header:
    """Size and colours of a codestream."""

    rows: int
    columns: int
    samples: int
    precision: int
    """Bits of the first component."""
    is_transformed: bool
    """Decoding ends with the inverse multiple component transform, so what comes out is RGB (annex G)."""


def unboxed(frame: bytes) -> tuple[bytes, bool]:
    """Return the codestream of a frame, and whether its boxes say that the colours are YCbCr.

    DICOM has no boxes (PS3.5 A.4.4), but devices write whole JP2 files.
    """
    if frame[4:8] not in FIRST_BOXES:
        return frame, False
    is_ycbcr = False
    for kind, content in _boxes(frame):
        if kind == b"jp2c":
            return content, is_ycbcr
        if kind == b"jp2h":
            is_ycbcr = any(_is_sycc(inner) for name, inner in _boxes(content) if name == b"colr")
    raise ValueError("a JP2 file without a codestream")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each box (I.4); one whose length leads nowhere has all that is left."""
    offset = 0
    while offset + BOX_HEADER_BYTES <= len(data):
        length, kind = struct.unpack_from(">L4s", data, offset)
        start = offset + BOX_HEADER_BYTES
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start = offset + LONG_BOX_HEADER_BYTES
        end = offset + length if offset + length >= start else len(data)
        yield kind, data[start:end]
        offset = end


def _is_sycc(colour: bytes) -> bool:
    return colour[:1] == bytes([ENUMERATED]) and colour[3:7] == struct.pack(">L", SYCC)


def jpeg2000_header(codestream: bytes) -> Jpeg2000Header:
    """Read the main header.

    Raises:
        ValueError: no codestream.
        struct.error, IndexError: it is cut off.
    """
    if not codestream.startswith(SOC_SIZ):
        raise ValueError("no JPEG or JPEG 2000 stream")
    x1, y1, x0, y0 = struct.unpack_from(">4I", codestream, 8)
    samples, depth = struct.unpack_from(">HB", codestream, 40)
    return Jpeg2000Header(
        rows=y1 - y0,
        columns=x1 - x0,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        is_transformed=_is_transformed(codestream),
    )


def _is_transformed(codestream: bytes) -> bool:
    """Find the coding style default (A.6.1), which every main header has."""
    offset = 2
    for _ in range(MAX_SEGMENTS):
        marker, length = struct.unpack_from(">HH", codestream, offset)
        if marker == COD:
            return codestream[offset + 8] == 1
        if marker == SOT:
            break
        offset += 2 + max(length, 2)
    raise ValueError("a JPEG 2000 codestream without its coding style")
