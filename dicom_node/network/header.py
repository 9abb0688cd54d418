"""The identifying attributes of a received DICOM file, read without its pixel data and within limits."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator, read_dataset, read_file_meta_info, read_partial
from pydicom.tag import BaseTag, Tag

from dicom_node.errors import Unparsable
from dicom_node.identity import is_own
from dicom_node.network.bounded_reader import MAX_HEADER_BYTES, BoundedReader
from store.errors import InvalidUID
from store.files.digest import META_START_BYTES
from store.files.uids import check_uid

KEYWORDS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Manufacturer",
    "ManufacturerModelName",
]
TAGS = [Tag(keyword) for keyword in KEYWORDS]
LAST_GROUP = 0x0020
"""Of the elements above."""
REQUIRED = KEYWORDS[:4]
UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
ITEM_HEADER_BYTES, ELEMENT_HEADER_BYTES = 8, 12
"""Of a fragment, and of the element around it, in Explicit VR Little Endian (PS3.5 A.4)."""
CHARACTER_SET = Tag("SpecificCharacterSet")
PIXEL_DATA = Tag("PixelData")

# What pydicom raises on bytes that are not a data set, as fuzzing found it.
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
    """The identity of a received object; all UIDs are valid (PS3.5 9.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    sender_ae: str
    """Source Application Entity Title of the file meta information; empty if absent."""
    is_own: bool
    """It is a result of an echonode."""


def read_header(path: Path) -> Header:
    """Read the header of a DICOM file that the receiver wrote.

    Raises:
        Unparsable: the file is not a data set, or has neither SOP Class UID nor SOP Instance UID.
        InvalidUID: one of the UIDs is missing or invalid.
        OSError: the disk fails.
    """
    try:
        meta = read_file_meta_info(path)
        ds = _read_deflated(path, meta) if meta.TransferSyntaxUID.is_deflated else _read(path)
        uids = {keyword: str(ds.get(keyword) or "") for keyword in REQUIRED}
        own = is_own(_texts(ds))
    except (*PARSER_ERRORS, OSError) as error:
        _raise_if_of_the_disk(error)
        # Without the message, which may quote patient data.
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


def read_before_pixels(path: Path) -> tuple[Dataset, str, int]:
    """Read a DICOM file up to its pixel data.

    Returns:
        The data set, the transfer syntax, and the offset in the file of the pixel data element.

    Raises:
        Unparsable: the data set is deflated or big-endian, in which ultrasound is not stored.
        Exception: one of `PARSER_ERRORS`.
        OSError: the disk fails.
    """
    syntax = read_file_meta_info(path).TransferSyntaxUID
    if syntax.is_deflated or not syntax.is_little_endian:
        raise Unparsable(f"the data set is in {syntax.name}")
    with path.open("rb") as file:
        ds = read_partial(BoundedReader(file), stop_when=_is_pixel_data)
        return ds, str(syntax), file.tell()


def _is_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - the signature is pydicom's
    return bool(tag.group >= PIXEL_DATA.group)


def _texts(ds: Dataset) -> dict[str, str]:
    """Return the texts that tell whose object it is, as far as they are ASCII, as ours are."""
    found = {keyword: ds.get_item(keyword).value for keyword in KEYWORDS[4:] if keyword in ds}
    return {
        keyword: value.decode("ascii", "replace").strip(" \0")
        for keyword, value in found.items()
        if isinstance(value, bytes)
    }


def _raise_if_of_the_disk(error: Exception) -> None:
    """Raise an error of the system; pydicom has an OSError of its own, where a sequence has no end."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _uid(uids: Mapping[str, str], keyword: str) -> str:
    """Return a valid UID; the error names the keyword and not the value, which may be patient data."""
    try:
        return check_uid(uids[keyword])
    except InvalidUID:
        raise InvalidUID(f"{keyword} is not a UID") from None


def _read(path: Path) -> Dataset:
    with path.open("rb") as file:
        limited = BoundedReader(file)
        try:
            ds = read_partial(limited, stop_when=_is_beyond, specific_tags=TAGS)
        except (*PARSER_ERRORS, OSError) as error:
            _raise_if_of_the_disk(error)
            _hide_character_set(limited)
            ds = read_partial(limited, stop_when=_is_beyond, specific_tags=TAGS)
        return _read_on(limited, ds)


def _hide_character_set(file: "BoundedReader") -> None:
    """Go to the start again, without Specific Character Set: pydicom fails where its value is no text."""
    file.seek(0)
    before = read_partial(file, stop_when=_is_character_set, specific_tags=TAGS)
    file.hide(file.tell() + (2 if before.original_encoding[1] else 3))
    file.seek(0)


def _is_character_set(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - the signature is pydicom's
    return bool(tag == CHARACTER_SET)


def _read_deflated(path: Path, meta: FileMetaDataset) -> Dataset:
    with path.open("rb") as file:
        file.seek(META_START_BYTES + meta.FileMetaInformationGroupLength)
        deflated = file.read(MAX_HEADER_BYTES)
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, MAX_HEADER_BYTES)
    limited = BoundedReader(BytesIO(inflated))
    ds = read_dataset(
        limited, is_implicit_VR=False, is_little_endian=True, stop_when=_is_beyond, specific_tags=TAGS
    )
    return _read_on(limited, ds)


def _read_on(file: "BoundedReader", ds: Dataset) -> Dataset:
    """Look for what is missing in the rest of the file: elements may be out of order, as they must not be.

    What cannot be parsed there holds nothing that is needed.
    """
    try:
        while any(keyword not in ds for keyword in REQUIRED) and file.has_more():
            for element in data_element_generator(
                file, *ds.original_encoding, stop_when=_is_fragmented, specific_tags=TAGS
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


def _skip_fragments(file: "BoundedReader") -> None:
    """Go behind the element that `_is_fragmented` stopped at; one in explicit VR, as all encapsulated are."""
    file.seek(file.tell() + ELEMENT_HEADER_BYTES)
    while (header := file.read(ITEM_HEADER_BYTES)).startswith(ITEM):
        file.seek(file.tell() + struct.unpack("<4xL", header)[0])
    if not header.startswith(DELIMITER):
        file.seek(file.tell() - len(header))


def _is_beyond(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001 - the signature is pydicom's
    """Tell whether reading can stop: elements are in ascending order of their tags (PS3.5 7.1)."""
    return bool(tag.group > LAST_GROUP)
