"""Detection of texts without Specific Character Set (PS3.3 C.12.1.1.2)."""

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""The value representations that Specific Character Set applies to (PS3.5 6.1.2.3)."""


def charset_is_missing(ds: Dataset) -> bool:
    """Tell whether `ds`, as read from a file, has 8-bit texts and no Specific Character Set.

    To be called before an element is accessed: pydicom then replaces its bytes by the decoded text.
    """
    return not ds.get("SpecificCharacterSet") and any(_has_8_bit_text(ds, tag) for tag in ds.keys())  # noqa: SIM118 - iterating over a Dataset reads its elements


def _has_8_bit_text(ds: Dataset, tag: BaseTag) -> bool:
    element = ds.get_item(tag)
    if not isinstance(element, RawDataElement) or element.value is None or element.value.isascii():
        return False
    return (element.VR or _vr_by_dictionary(tag)) in TEXT_VRS


def _vr_by_dictionary(tag: BaseTag) -> str:
    """Return the VR of an element in an implicit VR transfer syntax; "UN" for a private one."""
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"
