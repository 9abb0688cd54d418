"""Corrections: an instance that is sent again under its UID with the same pixels and another identity.

A technician who corrects the patient of an examination sends its images again, most often under the same
UIDs. With equal pixels that is a correction; with other pixels, two images claim one UID.
"""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.uid import UID

from dicom_node.errors import Unparsable
from dicom_node.network.header import PARSER_ERRORS, read_before_pixels
from store.errors import StoreUnavailable

PATIENT_GROUP, PIXEL_GROUP = 0x0010, 0x0028
IDENTITY = frozenset(
    {
        "SpecificCharacterSet",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "IssuerOfAccessionNumberSequence",
        "ReferringPhysicianName",
        "StudyDescription",
        "StudyID",
        "RequestAttributesSequence",
        "SequenceOfUltrasoundRegions",
    }
)
"""Attributes outside of the patient group that a result copies or is measured by."""
UNDEFINED_LENGTH = 0xFFFFFFFF
DELIMITER = b"\xfe\xff\xdd\xe0"
CHUNK_BYTES = 1 << 20


def corrected_attributes(first: Path, second: Path) -> list[str] | None:
    """Return which attributes of identity differ between two versions of an image, by keyword or tag.

    None for two versions that are no correction: their pixels differ, nothing that a result copies does,
    or one of them cannot be read.

    Raises:
        StoreUnavailable: the disk fails.
    """
    try:
        (before, pixels_before), (after, pixels_after) = _content(first), _content(second)
        differing = sorted(_differing(before, after))
    except (Unparsable, *PARSER_ERRORS):
        return None
    except OSError as error:
        raise StoreUnavailable(f"{error.strerror}: instances") from error
    names = [keyword_for_tag(tag) or f"{tag:08X}" for tag in differing]
    other_picture = pixels_before != pixels_after or any(tag >> 16 == PIXEL_GROUP for tag in differing)
    relevant = any(
        tag >> 16 == PATIENT_GROUP or name in IDENTITY for tag, name in zip(differing, names, strict=True)
    )
    return None if other_picture or not relevant else names


def _differing(before: Dataset, after: Dataset) -> Iterator[int]:
    for tag in before.keys() | after.keys():
        if tag not in before or tag not in after or _value(before[tag]) != _value(after[tag]):
            yield int(tag)


def _value(element: DataElement) -> object:
    return element.value or None


def _content(path: Path) -> tuple[Dataset, str]:
    """Return the data set before the pixel data, and a digest of the pixel data with its transfer syntax.

    Raises:
        Unparsable: there is no pixel data, or it has no end.
    """
    ds, syntax, start = read_before_pixels(path)
    digest = hashlib.sha256(syntax.encode())
    with path.open("rb") as file:
        file.seek(start)
        for chunk in _pixel_bytes(file, UID(syntax).is_implicit_VR):
            digest.update(chunk)
    return ds, digest.hexdigest()


def _pixel_bytes(file: BinaryIO, implicit: bool) -> Iterator[bytes]:
    header = file.read(8 if implicit else 12)
    if len(header) < (8 if implicit else 12):
        raise Unparsable("there is no pixel data")
    (length,) = struct.unpack("<L", header[-4:])
    if length != UNDEFINED_LENGTH:
        yield from _chunks(file, length)
        return
    while not (item := file.read(8)).startswith(DELIMITER):
        if len(item) < 8:  # noqa: PLR2004 - of an item header (PS3.5 A.4)
            raise Unparsable("the pixel data has no end")
        yield item
        yield from _chunks(file, struct.unpack("<4xL", item)[0])


def _chunks(file: BinaryIO, count: int) -> Iterator[bytes]:
    while count:
        chunk = file.read(min(count, CHUNK_BYTES))
        if not chunk:
            raise Unparsable("the pixel data is cut off")
        count -= len(chunk)
        yield chunk
