"""What the node needs to know of a received object, read without touching its pixels."""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info

from dicom_node.errors import Unparsable
from dicom_node.identity import is_own
from store.files import META_START_BYTES, check_uid

TAGS: list[Any] = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Manufacturer",
    "ManufacturerModelName",
]
MAX_INFLATED_BYTES = 16 << 20
"""A deflated data set is inflated this far; the tags above come early, a bomb goes on for ever."""

# What pydicom is known to raise on bytes that are no data set.
PARSER_ERRORS = (
    ArithmeticError,
    AttributeError,
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
    except PARSER_ERRORS as error:
        # The class only: the message may quote what it stumbled over.
        raise Unparsable(f"{type(error).__name__} while reading the data set") from error
    if "SOPClassUID" not in ds and "SOPInstanceUID" not in ds:
        raise Unparsable("the data set has neither SOP Class UID nor SOP Instance UID")
    return Header(
        sop_class_uid=check_uid(uids["SOPClassUID"]),
        sop_instance_uid=check_uid(uids["SOPInstanceUID"]),
        study_uid=check_uid(uids["StudyInstanceUID"]),
        series_uid=check_uid(uids["SeriesInstanceUID"]),
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
        sender_ae=str(meta.get("SourceApplicationEntityTitle") or ""),
        is_own=own,
    )


def _read(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True, specific_tags=TAGS)


def _read_deflated(path: Path, meta: FileMetaDataset) -> Dataset:
    with path.open("rb") as file:
        file.seek(META_START_BYTES + meta.FileMetaInformationGroupLength)
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MAX_INFLATED_BYTES)
    return read_dataset(BytesIO(inflated), is_implicit_VR=False, is_little_endian=True)
