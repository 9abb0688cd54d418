"""The rules for values of new objects: those of the value representations (PS3.5 6.2) and of some attributes.

Sources violate them. A rule is told by the words that stand in the audit log; they never quote a value.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.report.source_attributes import NEEDED_IN_ITEMS
from dicom_node.report.text import TEXT_VRS
from inference.image.patient import HEIGHT_M
from store.files.uids import MAX_UID_LENGTH, UID

MAX_CHARACTERS: Final[Mapping[str, int]] = MappingProxyType(
    {"AE": 16, "CS": 16, "SH": 16, "DS": 16, "IS": 12, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240}
)
"""Of one value; of PN, of each of its three component groups."""
PARAGRAPHS: Final = frozenset({"ST", "LT", "UT"})
"""VRs of one value, which may hold backslashes and line breaks."""
NUMBERS_AS_TEXT: Final = frozenset({"DS", "IS"})
TEXTS: Final = TEXT_VRS | NUMBERS_AS_TEXT | {"AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"}
"""VRs whose values are text."""
INTEGERS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        **{vr: (0, 2**bits - 1) for vr, bits in {"US": 16, "UL": 32, "UV": 64}.items()},
        **{
            vr: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            for vr, bits in {"SS": 16, "SL": 32, "SV": 64}.items()
        },
    }
)
"""Least and greatest value of binary integers."""
FLOATS: Final = frozenset({"FL", "FD"})
MAX_WEIGHT_KG: Final = 700.0
NAME_GROUPS, NAME_COMPONENTS = 3, 5
FIRST_YEAR: Final = 1582
"""Of the Gregorian calendar, which DA requires (PS3.5 6.2); earlier dates mean "unknown"."""
_TIME: Final = r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"
_ZONE: Final = r"[+-](0\d|1[0-4])[0-5]\d"
_FORMATS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "AE": re.compile(r"[ -\[\]-~]+"),
        "AS": re.compile(r"\d{3}[DWMY]", re.ASCII),
        "CS": re.compile(r"[A-Z0-9 _]+"),
        "DA": re.compile(r"\d{8}", re.ASCII),
        "DS": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII),
        "DT": re.compile(rf"\d{{4}}(\d\d(\d\d({_TIME})?)?)?({_ZONE})?", re.ASCII),
        "IS": re.compile(r"[+-]?\d+", re.ASCII),
        "TM": re.compile(_TIME, re.ASCII),
        "UI": re.compile(UID.pattern, re.ASCII),
        "UR": re.compile(r"[!-\[\]-~]+"),
    }
)
_WORDS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "PatientSex": re.compile("[MFO]"),
        "PatientSexNeutered": re.compile("ALTERED|UNALTERED"),
        "PatientIdentityRemoved": re.compile("YES|NO"),
        "BurnedInAnnotation": re.compile("YES|NO"),
        "LossyImageCompression": re.compile("00|01"),
        "TimezoneOffsetFromUTC": re.compile(_ZONE, re.ASCII),
        "InstanceNumber": re.compile(r"[+-]?\d{1,9}", re.ASCII),
        "NumberOfFrames": re.compile(r"\+?0*[1-9]\d{0,8}", re.ASCII),
    }
)
"""What single attributes may say (PS3.3), more narrowly than their VR."""
_RANGES: Final[Mapping[str, tuple[Callable[[float], bool], str]]] = MappingProxyType(
    {
        "PatientSize": (lambda size: HEIGHT_M[0] <= size <= HEIGHT_M[1], "not a height in metres"),
        "PatientWeight": (lambda weight: 0 < weight <= MAX_WEIGHT_KG, "not a weight in kilograms"),
        "LossyImageCompressionRatio": (lambda ratio: ratio > 0, "not a ratio"),
    }
)
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_OF_PARAGRAPHS: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def fault_of(keyword: str, vr: str, text: str) -> str:
    """Return what keeps `text` from being a value of an attribute; an empty string if nothing does."""
    fault = _fault_of_vr(vr, text)
    if fault or not text.strip():
        return fault
    if (pattern := _WORDS.get(keyword)) and not pattern.fullmatch(text.strip()):
        return f"not one of the values of {keyword}"
    if keyword in _RANGES:
        holds, fault = _RANGES[keyword]
        return "" if holds(float(text)) else fault
    return ""


def has_control(vr: str, text: str) -> bool:
    """Tell whether a text has control characters that its VR has not."""
    pattern = _CONTROL_OF_PARAGRAPHS if vr in PARAGRAPHS else CONTROL
    return pattern.search(text) is not None


def _fault_of_vr(vr: str, text: str) -> str:
    if has_control(vr, text):
        return "control characters"
    if vr == "PN":
        return _fault_of_name(text)
    if len(text) > MAX_CHARACTERS.get(vr, len(text)):
        return f"longer than the {MAX_CHARACTERS[vr]} characters of {vr}"
    value = text.strip(" ")
    if value and (pattern := _FORMATS.get(vr)) and not pattern.fullmatch(value):
        return f"not in the format of {vr}"
    return _fault_of_meaning(vr, value) if value else ""


def _fault_of_meaning(vr: str, value: str) -> str:
    """Return what is wrong with a value that has the form of its VR."""
    if vr == "DA" and not is_day(value):
        return "no day of the calendar"
    if vr == "UI" and len(value) > MAX_UID_LENGTH:
        return f"longer than the {MAX_UID_LENGTH} characters of UI"
    if vr == "IS" and not INTEGERS["SL"][0] <= int(value) <= INTEGERS["SL"][1]:
        return "beyond the range of IS"
    if vr == "DS" and not math.isfinite(float(value)):
        return "beyond the range of numbers"
    return ""


def _fault_of_name(text: str) -> str:
    groups = text.split("=")
    if len(groups) > NAME_GROUPS or any(group.count("^") >= NAME_COMPONENTS for group in groups):
        return "more parts than a name has"
    if any(len(group) > MAX_CHARACTERS["PN"] for group in groups):
        return f"longer than the {MAX_CHARACTERS['PN']} characters of PN"
    return ""


def is_day(text: str) -> bool:
    """Tell whether a text is a day as DA writes it."""
    try:
        return datetime.strptime(text, "%Y%m%d").year >= FIRST_YEAR  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        return False


def allows(multiplicity: str, count: int) -> bool:
    """Tell whether a value multiplicity, such as 1, 1-3, 1-n or 2-2n, allows so many values."""
    least, _, most = multiplicity.partition("-")
    if not most:
        return count == int(least)
    if not most.endswith("n"):
        return int(least) <= count <= int(most)
    return count >= int(least) and count % int(most.removesuffix("n") or 1) == 0


def is_complete(item: Dataset, keyword: str) -> bool:
    """Tell whether an item has what it must have: one of a code, a value and a meaning (PS3.3 8.8)."""
    if keyword.endswith("CodeSequence"):
        coded = ("CodeValue", "LongCodeValue", "URNCodeValue")
        has_scheme = bool(item.get("CodingSchemeDesignator") or item.get("URNCodeValue"))
        return has_scheme and bool(item.get("CodeMeaning")) and any(item.get(each) for each in coded)
    return all(item.get(each) for each in NEEDED_IN_ITEMS.get(keyword, ()))
