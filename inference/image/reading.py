"""From file to data set, with a bound on what a deflated one inflates to."""

import zlib
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from inference.errors import TooLarge
from inference.image.attributes import MALFORMED

MAX_INFLATED_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
META_START_BYTES, META_GROUP = 128 + 4, 0x0002
"""File meta information follows the preamble and "DICM" (PS3.10 7.1)."""
UNREADABLE = (*MALFORMED, InvalidDicomError, EOFError, zlib.error)
"""What pydicom raises on bytes that are not a DICOM file."""


def read_image(path: Path) -> FileDataset:
    """Read a whole file.

    Raises:
        TooLarge: its deflated data set inflates to more than `MAX_INFLATED_BYTES`.
        UNREADABLE: the bytes are not a DICOM file.
    """
    with path.open("rb") as file:
        bounded = _BoundedReader(file)
        file.seek(META_START_BYTES)
        meta = read_dataset(bounded, is_implicit_VR=False, is_little_endian=True, stop_when=_is_beyond_meta)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            _check_inflated(file)
        file.seek(0)
        return dcmread(bounded)


def _is_beyond_meta(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - the signature is pydicom's
    return bool(tag.group != META_GROUP)


class _BoundedReader:
    """File for pydicom's reader whose `read` never asks for more bytes than the file has left.

    Python allocates the requested size first, and an element may claim a length of 4 GB.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = file.seek(0, SEEK_END)
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, all that is left if negative."""
        left = max(self._end - self._file.tell(), 0)
        return self._file.read(left if size < 0 else min(size, left))


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
