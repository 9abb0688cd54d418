"""File -> data set, with a bound on what a deflated one becomes."""

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
"""Behind the preamble and "DICM" (PS3.10 7.1)."""
UNREADABLE = (*MALFORMED, InvalidDicomError, EOFError, zlib.error)
"""What pydicom raises on bytes that are no DICOM file."""


def read_image(path: Path) -> FileDataset:
    """Read a whole file.

    Raises:
        TooLarge: its deflated data set becomes more than `MAX_INFLATED_BYTES`.
        UNREADABLE: the bytes are no DICOM file.
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
    """A file for pydicom's reader: space is allocated for what is there, not for what an element claims."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = file.seek(0, SEEK_END)
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        """Read, no further than to the end."""
        left = max(self._end - self._file.tell(), 0)
        return self._file.read(left if size < 0 else min(size, left))


def _check_inflated(file: BinaryIO) -> None:
    """Inflate what is left of `file`, keep nothing of it, and stop beyond the bound."""
    inflate, found = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflate.eof and (deflated := inflate.unconsumed_tail or file.read(CHUNK_BYTES)):
        found += len(inflate.decompress(deflated, CHUNK_BYTES))
        if found > MAX_INFLATED_BYTES:
            raise TooLarge(f"the deflated data set becomes more than {MAX_INFLATED_BYTES} bytes")
