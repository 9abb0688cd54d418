"""The values of one element of a source image, whatever VR it came with."""

import warnings
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from dicom_node.report.legal import FLOATS, INTEGERS, PARAGRAPHS, TEXTS
from dicom_node.report.text import TEXT_VRS, Reading, TextReader

UNKNOWN: Final = "UN"
PADDING: Final = " \0"


class UnusableElement(ValueError):
    """An element whose bytes are no values of its attribute; the message says why, without quoting."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """The values of an element: texts, numbers, bytes, or items of a sequence."""

    values: list[Any]
    reading: Reading | None = None
    """How a text was decoded."""


def values_of(ds: Dataset, tag: BaseTag, vr: str, reader: TextReader) -> Values:
    """Return the values of an element, as those of `vr`.

    Raises:
        UnusableElement: it came with a VR of another kind.
        MALFORMED: its bytes cannot be understood.
    """
    element = ds.get_item(tag)
    raw = element.value
    came = str(getattr(element, "VR", None) or UNKNOWN)
    if vr in TEXTS and (isinstance(raw, bytes) or raw is None) and (came in TEXTS or came == UNKNOWN):
        return _texts(raw or b"", vr, reader)
    with warnings.catch_warnings():  # pydicom's, which quote the value
        warnings.simplefilter("ignore")
        value = _converted(element)
    if vr in TEXT_VRS and (coded := _still_coded(value)) is not None:
        return _texts(coded, vr, reader)
    values = (
        list(value)
        if isinstance(value, MultiValue | Sequence | list)
        else [value]
        if value is not None
        else []
    )
    if vr in TEXTS:
        return Values(values=[_text(each, vr) for each in values] or [""])
    return Values(values=[_number(each, vr) if vr in INTEGERS or vr in FLOATS else each for each in values])


def _converted(element: DataElement | RawDataElement) -> Any:
    """Return the value as pydicom understands it."""
    if isinstance(element, RawDataElement):
        return convert_raw_data_element(element).value
    return element.value


def _texts(data: bytes, vr: str, reader: TextReader) -> Values:
    """Return the texts of an element's bytes; escape sequences come before the split into values."""
    if vr not in TEXT_VRS:
        return Values(values=_split(data.decode("latin_1"), vr))
    reading = reader.read(data.rstrip(PADDING.encode()), vr)
    return Values(values=_split(reading.text, vr), reading=reading if reading.wrong else None)


def _split(text: str, vr: str) -> list[str]:
    if vr in PARAGRAPHS or vr == "UR":
        return [text.rstrip(PADDING)]
    if vr in TEXT_VRS:
        return [each.rstrip(PADDING) for each in text.split("\\")]
    return [each.strip(PADDING) for each in text.split("\\")]


def _still_coded(value: object) -> bytes | None:
    """Return the bytes of names that pydicom has decoded in its own way."""
    names = list(value) if isinstance(value, MultiValue) else [value]
    coded = [each.original_string for each in names if isinstance(each, PersonName)]
    return b"\\".join(coded) if coded and all(isinstance(each, bytes) for each in coded) else None


def _text(value: object, vr: str) -> str:
    if isinstance(value, str | PersonName):
        return str(value).rstrip(PADDING)
    if vr in {"DS", "IS"} and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise UnusableElement("its VR holds no text")


def _number(value: object, vr: str) -> int | float:
    """Return a number of a binary VR, which may have come as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableElement("its VR holds no number")
    if vr in FLOATS:
        return float(value)
    least, most = INTEGERS[vr]
    if value != int(value) or not least <= value <= most:
        raise UnusableElement(f"beyond the range of {vr}")
    return int(value)
