"""The image size that a JPEG family stream declares, read before a decoder allocates for it.

Decoders allocate by the stream, not by Rows and Columns: a few bytes may declare 65535 x 65535.
"""

import struct
from dataclasses import dataclass

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
MARKER = 0xFF
J2K_START = b"\xff\x4f\xff\x51"  # SOC, then SIZ, which 15444-1 A.5.1 requires to be next
# SOF0..15 without DHT, JPG and DAC; DHP of hierarchical streams; SOF55 of JPEG-LS (14495-1)
FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xDE, 0xF7} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True, kw_only=True)
class StreamSize:
    """Rows, columns and samples per pixel of a coded image."""

    rows: int
    columns: int
    samples: int


def stream_size(stream: bytes) -> StreamSize:
    """Return the size declared by a JPEG, JPEG-LS or JPEG 2000 stream.

    Raises:
        ValueError: the stream is none of these, damaged, or a JPEG without its end.
        struct.error: the header itself is cut off.
    """
    if stream.startswith(J2K_START):
        x1, y1, x0, y0 = struct.unpack_from(">4I", stream, 8)
        (samples,) = struct.unpack_from(">H", stream, 40)
        return StreamSize(rows=y1 - y0, columns=x1 - x0, samples=samples)
    if not stream.startswith(SOI):
        raise ValueError("no JPEG or JPEG 2000 stream")
    return _jpeg_size(stream)


def _jpeg_size(stream: bytes) -> StreamSize:
    """Walk the marker segments (10918-1 B.1.1) up to the frame header."""
    offset = len(SOI)
    while True:
        while stream[offset : offset + 2] == b"\xff\xff":  # fill bytes
            offset += 1
        prefix, marker, length = struct.unpack_from(">BBH", stream, offset)
        if prefix != MARKER:
            raise ValueError("damaged JPEG header")
        if marker in FRAME_HEADERS:
            # Some decoders fill the missing part of a truncated stream with noise, without an error.
            if stream.find(EOI, offset) < 0:
                raise ValueError("the JPEG stream is cut off")
            rows, columns, samples = struct.unpack_from(">HHB", stream, offset + 5)
            return StreamSize(rows=rows, columns=columns, samples=samples)
        offset += 2 + length
