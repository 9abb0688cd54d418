"""Images with one element that no program should have written, byte for byte as a file holds it."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
"""VRs whose length has four bytes (PS3.5 7.1.2)."""
SHORT = ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US")  # fmt: skip  # noqa: E501 - one row


def element(tag: BaseTag, vr: str, value: bytes, *, implicit: bool = False) -> bytes:
    """Return one element with a value of whatever bytes, padded to an even length."""
    value += b"\0" * (len(value) % 2)
    name = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")
    if implicit:
        return name + len(value).to_bytes(4, "little") + value
    if vr in LONG:
        return name + vr.encode() + b"\0\0" + len(value).to_bytes(4, "little") + value
    return name + vr.encode() + len(value).to_bytes(2, "little") + value


def file_with(ds: FileDataset, keyword: str, vr: str, value: bytes, *, implicit: bool = False) -> bytes:
    """Return an image as a file in which this element replaces what the image has of it."""
    return file_with_all(ds, {keyword: (vr, value)}, implicit=implicit)


def file_with_all(
    ds: FileDataset, garbage: Mapping[str, tuple[str, bytes]], *, implicit: bool = False
) -> bytes:
    """Return an image as a file in which these elements, by keyword, replace what the image has of them."""
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    head = BytesIO()
    dcmwrite(head, FileDataset("", Dataset(), preamble=b"\0" * 128, file_meta=ds.file_meta))
    parts = {each.tag: encoded(each.tag, ds, implicit=implicit) for each in ds}
    for keyword, (vr, value) in garbage.items():
        parts[Tag(keyword)] = element(Tag(keyword), vr, value, implicit=implicit)
    return head.getvalue() + b"".join(parts[tag] for tag in sorted(parts))


def encoded(tag: BaseTag, ds: Dataset, *, implicit: bool = False) -> bytes:
    """Return one element of a data set as its bytes."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, implicit
    single = Dataset({tag: ds[tag]})
    write_dataset(stream, single, parent_encoding="utf_8")
    return stream.getvalue()


def with_item(ds: FileDataset, sequence: str, keyword: str, vr: str, value: bytes) -> bytes:
    """Return an image as a file, with a sequence of one item that holds one element."""
    inside = element(Tag(keyword), vr, value)
    item = b"\xfe\xff\x00\xe0" + len(inside).to_bytes(4, "little") + inside
    return file_with(ds, sequence, "SQ", item)


def kept(file: bytes, folder: Path) -> Path:
    """Write a file and return its path."""
    path = folder / "garbled.dcm"
    path.write_bytes(file)
    return path


def reread(ds: Dataset) -> Dataset:
    """Return a data set as it comes back from its bytes."""
    stream = BytesIO()
    ds.save_as(stream, implicit_vr=False, little_endian=True)
    return dcmread(BytesIO(stream.getvalue()), force=True)
