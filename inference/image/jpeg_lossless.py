"""Proof that the samples decoded from a JPEG Lossless stream are those that were coded (T.81 annex H).

Decoders fill in what is damaged or missing, or saturate differences, without an error. But each sample is
its prediction from the neighbours plus the difference that the stream holds, modulo 2^precision: samples for
which that is true everywhere are the right ones.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.image.huffman import Reader, Table, read_tables
from inference.image.jpeg import DHT, DRI, FRAME_HEADERS, SOS, Segment, segments

Samples = NDArray[np.int64]
Predictor = Callable[[Samples, Samples, Samples], Samples]

RESTART = re.compile(rb"\xff[\xd0-\xd7]")
BLOCK_PIXELS = 1 << 18
SPARE_BITS = 24
"""Fewer may be left after the last code of an interval: padding to a byte, and what sloppy flushing adds."""
PREDICTORS: Mapping[int, Predictor] = {
    1: lambda a, _b, _c: a,
    2: lambda _a, b, _c: b,
    3: lambda _a, _b, c: c,
    4: lambda a, b, c: a + b - c,
    5: lambda a, b, c: a + (b - c >> 1),
    6: lambda a, b, c: b + (a - c >> 1),
    7: lambda a, b, _c: a + b >> 1,
}
"""By selection value, from the samples left, above, and above left (table H.1)."""


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """One scan of a stream, with what was defined before it."""

    identifiers: bytes
    tables: list[Table]
    """One per component."""
    predictor: Predictor
    precision: int
    """Bits of a sample after the point transform."""
    point_transform: int
    restart_pixels: int
    """Pixels between two restarts; 0 without restarts."""
    intervals: list[bytes]
    """The coded data between restart markers."""


def check_lossless(stream: bytes, samples: NDArray[Any]) -> None:
    """Check that `samples`, (rows, columns[, components]) of SOF3, are what the stream codes.

    Raises:
        ValueError: they are not, or it cannot be told.
        struct.error, LookupError: a segment is cut off, or refers to something undefined.
    """
    rows, columns = samples.shape[:2]
    for identifiers, scan in _scans(stream):
        places = [identifiers.index(each) for each in scan.identifiers]
        shown = samples.reshape(rows, columns, -1)[..., places]
        step = -(-scan.restart_pixels // columns) or rows  # whole rows (H.1.1)
        if len(scan.intervals) != len(range(0, rows, step)):
            raise ValueError(f"JPEG Lossless of {rows} rows in {len(scan.intervals)} intervals of {step}")
        for interval, coded in enumerate(scan.intervals):
            _check_interval(scan, shown[interval * step : (interval + 1) * step], coded)


def _scans(stream: bytes) -> Iterator[tuple[bytes, _Scan]]:
    """Yield the component identifiers of the frame with each of its scans."""
    tables: dict[int, Table] = {}
    identifiers, precision, restart = b"", 0, 0
    for segment in segments(stream):
        if segment.marker in FRAME_HEADERS:
            precision, identifiers = segment.payload[0], segment.payload[6::3]
        elif segment.marker == DHT:
            tables |= read_tables(segment.payload)
        elif segment.marker == DRI:
            (restart,) = struct.unpack_from(">H", segment.payload)
        elif segment.marker == SOS:
            yield identifiers, _scan(segment, tables, precision, restart)


def _scan(header: Segment, tables: Mapping[int, Table], precision: int, restart_pixels: int) -> _Scan:
    """Read a scan header (B.2.3): components, their tables, predictor and point transform."""
    end = 1 + 2 * header.payload[0]
    components, (selection, _, transform) = header.payload[1:end], header.payload[end : end + 3]
    if selection not in PREDICTORS:
        raise ValueError(f"JPEG Lossless with the predictor {selection}")
    point_transform = transform & 0xF
    return _Scan(
        identifiers=components[::2],
        tables=[tables[selector >> 4] for selector in components[1::2]],
        predictor=PREDICTORS[selection],
        precision=precision - point_transform,
        point_transform=point_transform,
        restart_pixels=restart_pixels,
        intervals=RESTART.split(header.coded),
    )


def _check_interval(scan: _Scan, samples: NDArray[Any], coded: bytes) -> None:
    """Compare the samples of one restart interval with its differences, block by block of its rows.

    Encoders write a difference modulo 2^16, as they must (H.1.2.1), or modulo 2^precision.
    """
    rows, columns = samples.shape[:2]
    reader, modulus = Reader(coded, scan.tables), 1 << scan.precision
    step = max(BLOCK_PIXELS // columns, 1)
    for start in range(0, rows, step):
        block = samples[max(start - 1, 0) : start + step].astype(np.int64) >> scan.point_transform
        predicted = _predicted(block, scan, is_first=start == 0)
        block = block[-len(predicted) :]
        found = reader.differences(block.shape[0] * columns).reshape(block.shape)
        if ((found + predicted - block) % modulus).any():
            raise ValueError("the samples decoded from JPEG Lossless are not those coded")
    if reader.bits_left >= SPARE_BITS:
        raise ValueError(f"{reader.bits_left} bits are left of JPEG Lossless data")


def _predicted(block: Samples, scan: _Scan, *, is_first: bool) -> Samples:
    """Return the prediction of each row; but for the first of an interval, from the row above (H.1.2.1)."""
    left, above, above_left = block[1:, :-1], block[:-1, 1:], block[:-1, :-1]
    below = np.concatenate([block[:-1, :1], scan.predictor(left, above, above_left)], axis=1)
    if not is_first:
        return below
    start = np.full_like(block[:1, :1], 1 << scan.precision - 1)
    return np.concatenate([np.concatenate([start, block[:1, :-1]], axis=1), below])
