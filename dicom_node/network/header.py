"""What the node needs to know of a received object, read without touching its pixels."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator, read_dataset, read_file_meta_info, read_partial
from pydicom.tag import BaseTag, Tag

from dicom_node.errors import Unparsable
from dicom_node.identity import is_own
from store.errors import InvalidUID
from store.files.file_store import META_START_BYTES, check_uid

TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Manufacturer",
    "ManufacturerModelName",
]
WANTED = [Tag(keyword) for keyword in TAGS]
MAX_HEADER_BYTES = 16 << 20
"""No more is read, or inflated: the tags above come early, a bomb goes on for ever."""
MAX_READS = 100_000
"""Millions of tiny elements or sequence items would keep this process from its other associations."""
LAST_GROUP = 0x0020
REQUIRED = TAGS[:4]
UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
ITEM_HEADER_BYTES, ELEMENT_HEADER_BYTES = 8, 12
"""Of a fragment, and of the element around it, in Explicit VR Little Endian (PS3.5 A.4)."""
PIXEL_DATA = Tag("PixelData")

# What pydicom is known to raise on bytes that are no data set.
PARSER_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class Header:
    """The identity of a received object; every UID is one (PS3.5 9.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    sender_ae: str
    """Who sent it, as the file meta information tells."""
    is_own: bool
    """One of our own results."""


def read_header(path: Path) -> Header:
    """Read the header of a DICOM file that the receiver wrote.

    Raises:
        Unparsable: the bytes are no data set, or hold neither SOP class nor SOP instance.
        InvalidUID: one of the UIDs is missing or none.
    """
    try:
        meta = read_file_meta_info(path)
        ds = _read_deflated(path, meta) if meta.TransferSyntaxUID.is_deflated else _read(path)
        uids = {keyword: str(ds.get(keyword) or "") for keyword in REQUIRED}
        own = is_own(ds)
    except (*PARSER_ERRORS, OSError) as error:
        _raise_if_of_the_disk(error)
        # The class only: the message may quote what it stumbled over.
        raise Unparsable(f"{type(error).__name__} while reading the data set") from error
    if "SOPClassUID" not in ds and "SOPInstanceUID" not in ds:
        raise Unparsable("the data set has neither SOP Class UID nor SOP Instance UID")
    return Header(
        sop_class_uid=_uid(uids, "SOPClassUID"),
        sop_instance_uid=_uid(uids, "SOPInstanceUID"),
        study_uid=_uid(uids, "StudyInstanceUID"),
        series_uid=_uid(uids, "SeriesInstanceUID"),
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
        sender_ae=str(meta.get("SourceApplicationEntityTitle") or ""),
        is_own=own,
    )


def _raise_if_of_the_disk(error: Exception) -> None:
    """Raise an error of the system; pydicom has an OSError of its own, where a sequence has no end."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _uid(uids: Mapping[str, str], keyword: str) -> str:
    """Return a UID; one that is none is named, not quoted: it may be anything that stood in the file."""
    try:
        return check_uid(uids[keyword])
    except InvalidUID:
        raise InvalidUID(f"{keyword} is not a UID") from None


def _read(path: Path) -> Dataset:
    with path.open("rb") as file:
        limited = _Limited(file)
        ds = read_partial(limited, stop_when=_is_beyond, specific_tags=WANTED)
        return _read_on(limited, ds)


def _read_deflated(path: Path, meta: FileMetaDataset) -> Dataset:
    with path.open("rb") as file:
        file.seek(META_START_BYTES + meta.FileMetaInformationGroupLength)
        deflated = file.read(MAX_HEADER_BYTES)
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, MAX_HEADER_BYTES)
    limited = _Limited(BytesIO(inflated))
    ds = read_dataset(
        limited, is_implicit_VR=False, is_little_endian=True, stop_when=_is_beyond, specific_tags=WANTED
    )
    return _read_on(limited, ds)


def _read_on(file: "_Limited", ds: Dataset) -> Dataset:
    """Look for what is missing in the rest of the file: elements may be out of order, as they must not be.

    What cannot be parsed there holds nothing that is wanted.
    """
    try:
        while any(keyword not in ds for keyword in REQUIRED) and file.has_more():
            for element in data_element_generator(
                file, *ds.original_encoding, stop_when=_is_fragmented, specific_tags=WANTED
            ):
                if element.tag not in ds:
                    ds[element.tag] = element
            _skip_fragments(file)
    except (*PARSER_ERRORS, OSError) as error:
        _raise_if_of_the_disk(error)
    return ds


def _is_fragmented(tag: BaseTag, vr: str | None, length: int) -> bool:
    """Tell whether this is an element whose end is where its fragments end, of encapsulated pixel data."""
    return length == UNDEFINED_LENGTH and (vr in ("OB", "OW") or tag == PIXEL_DATA)


def _skip_fragments(file: "_Limited") -> None:
    """Go behind the element that `_is_fragmented` stopped at; one in explicit VR, as all encapsulated are."""
    file.seek(file.tell() + ELEMENT_HEADER_BYTES)
    while (header := file.read(ITEM_HEADER_BYTES)).startswith(ITEM):
        file.seek(file.tell() + struct.unpack("<4xL", header)[0])
    if not header.startswith(DELIMITER):
        file.seek(file.tell() - len(header))


def _is_beyond(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - the signature is pydicom's
    """Tell whether all wanted elements are behind us: tags ascend (PS3.5 7.1)."""
    return bool(tag.group > LAST_GROUP)


class _Limited:
    """A file for pydicom's reader, which reads once or twice per element, however deep it is nested.

    It would allocate what an element claims to hold: up to 4 GiB.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads = self._bytes = 0
        self.seek, self.tell = file.seek, file.tell

    def has_more(self) -> bool:
        """Tell whether the end is not reached."""
        more = bool(self.read(1))
        if more:
            self.seek(self.tell() - 1)
        return more

    def read(self, size: int) -> bytes:
        """Read; raise ValueError when that has been done too often, or for too much."""
        self._reads, self._bytes = self._reads + 1, self._bytes + size
        if self._reads > MAX_READS or self._bytes > MAX_HEADER_BYTES:
            raise ValueError("too much to read")
        return self._file.read(size)
