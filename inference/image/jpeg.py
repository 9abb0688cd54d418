"""What a JPEG or JPEG-LS stream says of itself, read before a decoder allocates for it (T.81 annex B)."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
MARKER = 0xFF
SOS, DHT, DRI, APP0, APP14 = 0xDA, 0xC4, 0xDD, 0xE0, 0xEE
ADOBE_TRANSFORM = 11
"""Offset of the colour transform in Adobe's APP14 (T.872 6.5.3)."""
SOF_LOSSLESS, SOF_JPEG_LS = 0xC3, 0xF7
FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xDE, SOF_JPEG_LS} - {DHT, 0xC8, 0xCC})
"""SOF0..15 without DHT, JPG and DAC; DHP of hierarchical streams; SOF55 of JPEG-LS (T.87)."""
PREDICTIVE = frozenset({SOF_LOSSLESS, 0xC7, 0xCB, 0xCF, SOF_JPEG_LS})
"""Processes without a DCT. Their encoders transform no colours, whatever file format they imitate."""
MAX_SEGMENTS = 10_000
NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The end of entropy-coded data: neither a stuffed byte, nor a restart marker, nor a fill byte."""
RGB_IDS = (b"RGB", b"rgb")
YCBCR_IDS = b"\x01\x02\x03"
"""Component identifiers that tell the colours (JFIF 1.02; libjpeg writes letters for RGB)."""


class Segment(NamedTuple):
    """One marker segment; a scan header has its entropy-coded data with it."""

    marker: int
    payload: bytes
    coded: bytes = b""


@dataclass(frozen=True, kw_only=True)
class JpegHeader:
    """Frame header and application markers of a stream."""

    process: int
    """Its SOF marker, without 0xFF."""
    precision: int
    """Bits per sample."""
    rows: int
    columns: int
    identifiers: bytes
    """One per component."""
    is_subsampled: bool
    """Some component has fewer samples than another."""
    is_jfif: bool
    adobe_transform: int | None
    """0 for none, 1 for YCbCr; None without an APP14 marker of Adobe's."""

    @property
    def colours(self) -> str | None:
        """RGB or YBR_FULL if the stream tells, as libjpeg reads it; None leaves it to the data set.

        A DCT of subsampled colours, or of components 1, 2, 3, is one of YCbCr (T.871 6.1).
        """
        if self.adobe_transform in (0, 1):
            return ("RGB", "YBR_FULL")[self.adobe_transform]
        if self.identifiers in RGB_IDS:
            return "RGB"
        is_ycbcr = self.is_jfif or self.is_subsampled or self.identifiers == YCBCR_IDS
        return "YBR_FULL" if is_ycbcr and self.process not in PREDICTIVE else None


def segments(stream: bytes) -> Iterator[Segment]:
    """Yield the marker segments of a stream in order, up to its end.

    Raises:
        ValueError: no marker where one must be, or more than `MAX_SEGMENTS`.
        struct.error: a segment is cut off.
    """
    offset = len(SOI)
    for _ in range(MAX_SEGMENTS):
        while stream[offset : offset + 2] == b"\xff\xff":  # fill bytes (T.81 B.1.1.2)
            offset += 1
        if stream[offset : offset + 2] == EOI:
            return
        prefix, marker, length = struct.unpack_from(">BBH", stream, offset)
        if prefix != MARKER:
            raise ValueError("damaged JPEG header")
        start, offset = offset + 4, offset + 2 + max(length, 2)
        payload, coded = stream[start:offset], b""
        if marker == SOS:
            found = NEXT_MARKER.search(stream, offset)
            end = found.start() if found else len(stream)
            coded, offset = stream[offset:end], end
        yield Segment(marker, payload, coded)
    raise ValueError(f"a JPEG stream of more than {MAX_SEGMENTS} segments")


def jpeg_header(stream: bytes) -> JpegHeader:
    """Return what comes before the first scan.

    Raises:
        ValueError: no JPEG, damaged, or without its end, which some decoders fill with noise in silence.
        struct.error: the header itself is cut off.
    """
    if not stream.startswith(SOI):
        raise ValueError("no JPEG stream")
    frame, is_jfif, adobe_transform = None, False, None
    for segment in segments(stream):
        if segment.marker in FRAME_HEADERS and frame is None:
            if EOI not in stream[len(SOI) :]:
                raise ValueError("the JPEG stream is cut off")
            frame = segment
        elif segment.marker == APP0:
            is_jfif = is_jfif or segment.payload.startswith(b"JFIF\0")
        elif segment.marker == APP14 and segment.payload.startswith(b"Adobe"):
            adobe_transform = next(iter(segment.payload[ADOBE_TRANSFORM:]), None)
        elif segment.marker == SOS:
            break
    if frame is None:
        raise ValueError("a JPEG stream without a frame header")
    return _header(frame, is_jfif=is_jfif, adobe_transform=adobe_transform)


def _header(frame: Segment, *, is_jfif: bool, adobe_transform: int | None) -> JpegHeader:
    """Read a frame header (T.81 B.2.2)."""
    precision, rows, columns, count = struct.unpack_from(">BHHB", frame.payload)
    components = frame.payload[6 : 6 + 3 * count]
    if len(components) < 3 * count:
        raise ValueError("a JPEG frame header without its components")
    return JpegHeader(
        process=frame.marker,
        precision=precision,
        rows=rows,
        columns=columns,
        identifiers=components[::3],
        is_subsampled=len(set(components[1::3])) > 1,
        is_jfif=is_jfif,
        adobe_transform=adobe_transform,
    )
