"""A file as it is read of a peer that may have written anything."""

from typing import BinaryIO

MAX_HEADER_BYTES = 16 << 20
"""Bytes that are read or inflated at most: the elements that are needed come early in a data set."""
MAX_READS = 100_000
"""Limit of read calls: parsing millions of tiny elements or items would delay the other associations."""
HIDDEN = 0x04
"""Last byte of a tag that stands for nothing: (0008,0004)."""


class BoundedReader:
    """A file that limits the number of reads and of bytes.

    pydicom reads once or twice per element at any depth, and allocates the length that an element's
    header states, up to 4 GiB.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads = self._bytes = 0
        self._hidden = -1
        self.seek, self.tell = file.seek, file.tell

    def hide(self, place: int) -> None:
        """Let the byte at a place be read as that of the tag of `HIDDEN` from now on."""
        self._hidden = place

    def has_more(self) -> bool:
        """Tell whether the end is not reached."""
        more = bool(self.read(1))
        if more:
            self.seek(self.tell() - 1)
        return more

    def read(self, size: int) -> bytes:
        """Read `size` bytes; ValueError beyond `MAX_READS` or `MAX_HEADER_BYTES`."""
        self._reads, self._bytes = self._reads + 1, self._bytes + size
        if self._reads > MAX_READS or self._bytes > MAX_HEADER_BYTES:
            raise ValueError("too much to read")
        at = self._hidden - self._file.tell()
        found = self._file.read(size)
        return found[:at] + bytes((HIDDEN,)) + found[at + 1 :] if 0 <= at < len(found) else found
