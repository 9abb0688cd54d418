"""The coded stream of one frame out of encapsulated pixel data (PS3.5 A.4), complete or not."""

import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from inference.errors import PixelDataError
from inference.image.jpeg import EOI, SOI
from inference.image.jpeg2000 import SIGNATURE, SOC_SIZ

ITEM = b"\xfe\xff\x00\xe0"
DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
"""Sequence Delimitation Item (PS3.5 7.5)."""
HEADER_BYTES = 8
STARTS = (SOI + b"\xff", SOC_SIZ, SIGNATURE)
"""What only the first fragment of a frame begins with."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """Where offset table and fragments lie in the value of Pixel Data, as far as they go."""

    table: slice
    fragments: Sequence[slice]
    is_cut_off: bool
    """The last fragment is shorter than it says."""

    @property
    def offsets(self) -> list[int]:
        """Where each item of a fragment starts, as offset tables count."""
        return [fragment.start - HEADER_BYTES - self.table.stop for fragment in self.fragments]


def frame_stream(ds: Dataset, frame: int, count: int) -> bytes:
    """Return the stream of `frame`, an index from 0, of `count` frames.

    Raises:
        PixelDataError: the pixel data hold no such frame, or end inside it.
    """
    value: bytes = ds.PixelData
    items = read_items(value)
    if "ExtendedOffsetTable" in ds:
        frames = _by_extended_table(items, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths)
    else:
        frames = _by_table(items, value) or _by_fragments(items, value, count)
    if frame >= len(frames) or not frames[frame]:
        raise PixelDataError(f"the pixel data end before frame {frame + 1} of {count}")
    stream = b"".join(value[part] for part in frames[frame])
    is_cut_off = items.is_cut_off and frames[frame][-1].stop == len(value)
    if is_cut_off and not stream.rstrip(b"\0").endswith(EOI):
        raise PixelDataError(f"the pixel data end inside frame {frame + 1} of {count}")
    return stream


def read_items(value: bytes) -> Items:
    """Find the items, up to the first thing that is none, such as a delimiter or the next element.

    Raises:
        PixelDataError: there is not even an offset table.
    """
    found, offset, is_cut_off = [], 0, False
    while value.startswith(ITEM, offset) and len(value) >= offset + HEADER_BYTES:
        (length,) = struct.unpack_from("<L", value, offset + len(ITEM))
        start, offset = offset + HEADER_BYTES, offset + HEADER_BYTES + length
        is_cut_off = offset > len(value)
        found.append(slice(start, min(offset, len(value))))
    if not found:
        raise PixelDataError("the pixel data are not encapsulated")
    return Items(table=found[0], fragments=found[1:], is_cut_off=is_cut_off)


def _by_extended_table(items: Items, offsets: bytes, lengths: bytes) -> list[list[slice]]:
    """Assign one fragment to each frame, of the length that the table states (PS3.3 C.7.6.3.1.8)."""
    parts = dict(zip(items.offsets, items.fragments, strict=True))
    count = len(offsets) // 8
    frames = zip(struct.unpack(f"<{count}Q", offsets), struct.unpack(f"<{count}Q", lengths), strict=True)
    found = [(parts.get(offset), length) for offset, length in frames]
    return [[] if part is None else [slice(part.start, part.start + length)] for part, length in found]


def _by_table(items: Items, value: bytes) -> list[list[slice]]:
    """Assign fragments by the Basic Offset Table; nothing if it is empty or points to what is no item."""
    data = value[items.table]
    table = struct.unpack(f"<{len(data) // 4}L", data[: len(data) // 4 * 4])
    starts = items.offsets
    end = items.fragments[-1].stop - items.table.stop if items.fragments else 0
    known = set(starts)
    if not table or table[0] != 0 or not all(offset in known or offset >= end for offset in table):
        return []
    limits = [*table[1:], end]
    places = [
        (bisect_left(starts, first), bisect_left(starts, limit))
        for first, limit in zip(table, limits, strict=True)
    ]
    return [list(items.fragments[first:limit]) for first, limit in places]


def _by_fragments(items: Items, value: bytes, count: int) -> list[list[slice]]:
    """Assign fragments without a table: one or all per frame, else by how a frame starts."""
    parts = items.fragments
    if count == 1:
        return [list(parts)]
    firsts = [place for place, part in enumerate(parts) if value.startswith(STARTS, part.start)]
    if len(parts) == count or not firsts:
        return [[part] for part in parts]
    limits = [*firsts[1:], len(parts)]
    return [list(parts[first:limit]) for first, limit in zip(firsts, limits, strict=True)]
