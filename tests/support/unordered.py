"""Data sets whose elements come in any order, as bytes: a library would sort them."""

import struct
from collections.abc import Callable

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag
from pydicom.uid import UID

Order = Callable[[BaseTag], object]
"""What a tag is sorted by."""
ORDERS: dict[str, Order] = {
    "backwards": lambda tag: -int(tag),
    "identity last": lambda tag: (tag.group in (0x0008, 0x0020), tag),
    "identity behind the pixels, class first": lambda tag: (tag.group == 0x0020, tag.elem, tag),
    "by element number": lambda tag: (tag.elem, tag.group),
    "pixels first": lambda tag: (tag.group != 0x7FE0, tag),
}


def encoded(ds: Dataset, order: Order) -> bytes:
    """Return the elements of `ds` in its transfer syntax, in this order."""
    syntax = UID(ds.file_meta.TransferSyntaxUID)
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    for tag in sorted(ds.keys(), key=order):  # type: ignore[type-var, arg-type] # whatever `order` returns
        write_data_element(stream, ds[tag])
    return stream.getvalue()


def trailing_padding(size: int) -> bytes:
    """Return Data Set Trailing Padding in Explicit VR Little Endian (PS3.10 7.2)."""
    return struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, size) + bytes(size)
