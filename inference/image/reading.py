"""From file to data set, with a bound on what a deflated one inflates to, and without a missing delimiter."""

import warnings
import zlib
from os import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian

from inference.errors import TooLarge
from inference.image.attributes import MALFORMED
from inference.image.encapsulated import DELIMITER

MAX_INFLATED_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
META_START_BYTES, META_GROUP = 128 + 4, 0x0002
"""File meta information follows the preamble and "DICM" (PS3.10 7.1)."""
CHARACTER_SET, HIDDEN = 0x00080005, 0x00080004
"""Specific Character Set, and a tag that stands for nothing."""
UNREADABLE = (*MALFORMED, InvalidDicomError, EOFError, zlib.error)
"""What pydicom raises on bytes that are not a DICOM file."""


def read_image(path: Path) -> FileDataset:
    """Read a whole file.

    Elements may come in any order. Pixel data whose delimiter is missing go as far as the file does.

    Raises:
        TooLarge: its deflated data set inflates to more than `MAX_INFLATED_BYTES`.
        UNREADABLE: the bytes are not a DICOM file.
    """
    with path.open("rb") as file:
        bounded = _BoundedReader(file)
        bounded.seek(META_START_BYTES)
        meta = read_dataset(bounded, is_implicit_VR=False, is_little_endian=True, stop_when=_is_beyond_meta)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            file.seek(bounded.tell())
            _check_inflated(file)
        ds = _readable(bounded)
        return ds if "PixelData" in ds else _closed(ds, file)


def _readable(file: "_BoundedReader") -> FileDataset:
    """Parse from the start; again without Specific Character Set, if pydicom fails and finds one.

    pydicom interprets its value while it parses; nothing that is measured depends on it.
    """
    try:
        return _parsed(file)
    except UNREADABLE:
        file.seek(0)
        before = read_partial(file, stop_when=_is_character_set)
        if not file.has_more() or before.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            raise
        file.hide(file.tell() + (2 if before.original_encoding[1] else 3))
        ds = _parsed(file)
        ds.pop(HIDDEN, None)
        return ds


def _is_character_set(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - the signature is pydicom's
    return bool(tag == CHARACTER_SET)


def _parsed(file: "_BoundedReader") -> FileDataset:
    """Parse from the start; pydicom warns where a delimiter is missing, and leaves that element out."""
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(file)


def _closed(ds: FileDataset, file: BinaryIO) -> FileDataset:
    """Parse again with a delimiter at the end, if pixel data were left out for want of one."""
    syntax = ds.file_meta.get("TransferSyntaxUID")
    if not isinstance(syntax, UID) or syntax not in AllTransferSyntaxes or not syntax.is_encapsulated:
        return ds
    closed = _parsed(_BoundedReader(file, DELIMITER))
    return closed if "PixelData" in closed else ds


def _is_beyond_meta(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - the signature is pydicom's
    return bool(tag.group != META_GROUP)


class _BoundedReader:
    """File for pydicom's reader whose `read` never asks for more bytes than the file has left.

    Python allocates the requested size first, and an element may claim a length of 4 GB. After the file
    comes `more`.
    """

    def __init__(self, file: BinaryIO, more: bytes = b"") -> None:
        self._file, self._more, self._place = file, more, 0
        self._hidden = -1
        self._end = file.seek(0, SEEK_END)
        self.close = file.close

    def hide(self, place: int) -> None:
        """Let the byte at a place be read as that of the tag `HIDDEN` from now on."""
        self._hidden = place

    def has_more(self) -> bool:
        """Tell whether the place lies before the end."""
        return self._place < self._end

    def tell(self) -> int:
        """Return the place of the next byte read."""
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a place, which may lie beyond the end, and return it."""
        origin = {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._end + len(self._more)}[whence]
        if origin + offset < 0:
            raise OSError("a place before the start of the file")
        self._place = origin + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, all that is left if negative."""
        left = max(self._end + len(self._more) - self._place, 0)
        size = left if size < 0 else min(size, left)
        self._file.seek(self._place)
        found = self._file.read(min(size, max(self._end - self._place, 0)))
        if 0 <= (at := self._hidden - self._place) < len(found):
            found = found[:at] + bytes((HIDDEN & 0xFF,)) + found[at + 1 :]
        after = max(self._place - self._end, 0)
        self._place += size
        return found + self._more[after : after + size - len(found)]


def _check_inflated(file: BinaryIO) -> None:
    """Inflate the rest of `file` chunk by chunk without keeping it, up to the bound.

    Raises:
        TooLarge: the bound is exceeded.
    """
    inflate, found = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflate.eof and (deflated := inflate.unconsumed_tail or file.read(CHUNK_BYTES)):
        found += len(inflate.decompress(deflated, CHUNK_BYTES))
        if found > MAX_INFLATED_BYTES:
            raise TooLarge(f"the deflated data set becomes more than {MAX_INFLATED_BYTES} bytes")
