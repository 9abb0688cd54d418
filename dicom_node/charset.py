"""Texts whose character set the sender did not name (PS3.3 C.12.1.1.2)."""

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""The value representations that SpecificCharacterSet is for (PS3.5 6.1.2.3)."""
ASCII_BYTES = 0x80


def charset_is_missing(ds: Dataset) -> bool:
    """Tell whether `ds`, as read from a file, holds 8-bit texts and names no character set for them.

    Only elements that nobody has looked at yet still have their bytes: ask before reading them.
    """
    return not ds.get("SpecificCharacterSet") and any(_has_8_bit_text(ds, tag) for tag in ds.keys())  # noqa: SIM118 - iterating over a Dataset reads its elements


def _has_8_bit_text(ds: Dataset, tag: BaseTag) -> bool:
    element = ds.get_item(tag)
    if not isinstance(element, RawDataElement):
        return False
    if element.VR is None:  # implicit VR: the dictionary knows it
        return _bytes_are_8_bit(element.value) and ds[tag].VR in TEXT_VRS
    return element.VR in TEXT_VRS and _bytes_are_8_bit(element.value)


def _bytes_are_8_bit(value: object) -> bool:
    return isinstance(value, bytes) and any(byte >= ASCII_BYTES for byte in value)
