"""A JPEG Lossless encoder (T.81 annex H) that writes what carts write: `lossless_jpeg.encoded(pixels)`."""

import struct
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Wrap = Literal["exact", "precision", "mixed"]
CATEGORIES = 17


def encoded(
    pixels: NDArray[Any],
    *,
    bits: int = 8,
    predictor: int = 1,
    restart_rows: int = 0,
    interleaved: bool = True,
    wrap: Wrap = "exact",
    identifiers: bytes = b"\0\1\2",
    markers: bytes = b"",
) -> bytes:
    """Return (rows, columns[, components]) as an SOF3 stream.

    `wrap` says how a difference is written: modulo 2^16, modulo 2^bits, or either at random, so that
    prediction and difference together leave the range of samples.
    """
    planes = np.atleast_3d(pixels).astype(np.int64)
    rows, columns, count = planes.shape
    step = restart_rows or rows
    frame = b"".join(bytes([each, 0x11, 0]) for each in identifiers[:count])
    scans = [range(count)] if interleaved else [range(each, each + 1) for each in range(count)]
    stream = b"\xff\xd8" + markers + _segment(0xC3, struct.pack(">BHHB", bits, rows, columns, count) + frame)
    stream += _segment(0xC4, bytes([0, 0, 0, 0, 0, CATEGORIES, *bytes(11), *range(CATEGORIES)]))
    stream += _segment(0xDD, struct.pack(">H", restart_rows * columns)) if restart_rows else b""
    for scan in scans:
        chosen = b"".join(bytes([identifiers[each], 0]) for each in scan)
        stream += _segment(0xDA, bytes([len(scan)]) + chosen + bytes([predictor, 0, 0]))
        intervals = [
            _interval(planes[start : start + step, :, list(scan)], bits, predictor, wrap)
            for start in range(0, rows, step)
        ]
        for number, coded in enumerate(intervals):
            stream += (bytes([0xFF, 0xD0 + (number - 1) % 8]) if number else b"") + coded
    return stream + b"\xff\xd9"


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _interval(planes: NDArray[np.int64], bits: int, predictor: int, wrap: Wrap) -> bytes:
    """Code every difference with 5 bits of category, pixel by pixel."""
    differences = planes - _predicted(planes, bits, predictor)
    if wrap != "exact":
        half = 1 << bits - 1
        wrapped = (differences + half) % (2 * half) - half
        other = wrapped - np.sign(wrapped) * 2 * half
        coin = np.random.default_rng(7).random(planes.shape) < 0.3
        fits = (wrap == "mixed") & coin & (np.abs(other) < 1 << 15)
        differences = np.where(fits, other, wrapped)
    differences = (differences + 32767) % 65536 - 32767  # H.1.2.1: -32767 to 32768
    return _stuffed("".join(_code(each) for each in differences.ravel().tolist()))


def _predicted(planes: NDArray[np.int64], bits: int, predictor: int) -> NDArray[np.int64]:
    """Return table H.1; the first row is predicted from the left, the first column from above."""
    found = np.empty_like(planes)
    found[0, 0], found[0, 1:], found[1:, 0] = 1 << bits - 1, planes[0, :-1], planes[:-1, 0]
    a, b, c = planes[1:, :-1], planes[:-1, 1:], planes[:-1, :-1]
    choices = (a, b, c, a + b - c, a + (b - c >> 1), b + (a - c >> 1), a + b >> 1)
    found[1:, 1:] = choices[predictor - 1]
    return found


def _code(difference: int) -> str:
    category = abs(difference).bit_length()
    if category in (0, 16):
        return f"{category:05b}"
    value = difference if difference > 0 else difference + (1 << category) - 1
    return f"{category:05b}{value:0{category}b}"


def _stuffed(bits: str) -> bytes:
    padded = bits + "1" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big").replace(b"\xff", b"\xff\x00")
