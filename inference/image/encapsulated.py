"""The coded stream of one frame out of encapsulated pixel data (PS3.5 A.4), complete or not."""

import struct

from pydicom import Dataset
from pydicom.encaps import get_frame

from inference.errors import PixelDataError
from inference.image.jpeg import EOI

ITEM = b"\xfe\xff\x00\xe0"
DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
"""Sequence Delimitation Item (PS3.5 7.5)."""
HEADER_BYTES = 8


def frame_stream(ds: Dataset, frame: int, count: int) -> bytes:
    """Return the stream of `frame`, an index from 0, of `count` frames.

    Raises:
        PixelDataError: the pixel data end before this frame does.
        ValueError, struct.error: they are no items, or do not tell where a frame begins.
    """
    items, cut_off = readable_items(ds.PixelData)
    tables = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths) if "ExtendedOffsetTable" in ds else None
    try:
        stream: bytes = get_frame(items, frame, number_of_frames=count, extended_offsets=tables)
    except (ValueError, struct.error):
        if cut_off is None:
            raise
        stream = b""
    if not stream:
        raise PixelDataError(f"the pixel data end before frame {frame + 1} of {count}")
    if cut_off and stream.endswith(cut_off) and not stream.rstrip(b"\0").endswith(EOI):
        raise PixelDataError(f"the pixel data end inside frame {frame + 1} of {count}")
    return stream


def readable_items(value: bytes) -> tuple[bytes, bytes | None]:
    """Return the offset table and fragments as far as they go, and the beginning of a fragment cut off.

    What follows the last fragment, a delimiter or another element, is left out. The fragment that is cut off
    is kept with the length that it has.
    """
    offset = 0
    while value.startswith(ITEM, offset) and len(value) >= offset + HEADER_BYTES:
        (length,) = struct.unpack_from("<L", value, offset + len(ITEM))
        start = offset + HEADER_BYTES
        if start + length > len(value):
            begun = value[start:]
            return value[:offset] + ITEM + struct.pack("<L", len(begun)) + begun, begun
        offset = start + length
    return (value if offset == len(value) else value[:offset]), None
