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
from pydicom.filereader import read_dataset, read_file_meta_info, read_partial
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
        uids = {keyword: str(ds.get(keyword) or "") for keyword in TAGS[:4]}
        own = is_own(ds)
    except (*PARSER_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk; pydicom raises one of its own at the end of a sequence that has none
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


def _uid(uids: Mapping[str, str], keyword: str) -> str:
    """Return a UID; one that is none is named, not quoted: it may be anything that stood in the file."""
    try:
        return check_uid(uids[keyword])
    except InvalidUID:
        raise InvalidUID(f"{keyword} is not a UID") from None


def _read(path: Path) -> Dataset:
    with path.open("rb") as file:
        return read_partial(_Limited(file), stop_when=_is_beyond, specific_tags=WANTED)


def _read_deflated(path: Path, meta: FileMetaDataset) -> Dataset:
    with path.open("rb") as file:
        file.seek(META_START_BYTES + meta.FileMetaInformationGroupLength)
        deflated = file.read(MAX_HEADER_BYTES)
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, MAX_HEADER_BYTES)
    return read_dataset(
        _Limited(BytesIO(inflated)),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=_is_beyond,
        specific_tags=WANTED,
    )


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

    def read(self, size: int) -> bytes:
        """Read; raise ValueError when that has been done too often, or for too much."""
        self._reads, self._bytes = self._reads + 1, self._bytes + size
        if self._reads > MAX_READS or self._bytes > MAX_HEADER_BYTES:
            raise ValueError("too much to read")
        return self._file.read(size)
