"""The rules for values copied into new objects (PS3.5 6.2), which source images may violate."""

import re
from datetime import datetime
from typing import Final

from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?")
_INTEGER = re.compile(r"[+-]?\d{1,9}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_PATTERNS: Final = {
    "PatientSex": re.compile(r"[MFO]"),
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    "PatientSize": _DECIMAL,
    "PatientWeight": _DECIMAL,
    "InstanceNumber": _INTEGER,
    "NumberOfFrames": _INTEGER,
    "PatientIdentityRemoved": re.compile(r"YES|NO"),
    "StudyTime": _TIME,
    "PatientBirthTime": _TIME,
    "TimezoneOffsetFromUTC": re.compile(r"[+-](0\d|1[0-4])[0-5]\d"),
}
_DATES: Final = ("PatientBirthDate", "StudyDate")
_FIRST_YEAR: Final = 1582
"""Of the Gregorian calendar, which DA requires (PS3.5 6.2); earlier dates mean "unknown"."""
_CHARACTERS: Final = {"SH": 16, "CS": 16, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240}
"""Maximum number of characters of a value; of PN, of each of its three component groups."""
_NAME_GROUPS, _NAME_COMPONENTS = 3, 5
_TEXT: Final = frozenset({*_CHARACTERS, "AS", "DA", "TM", "UI"})
"""VRs whose values are text; a source may write a number there, under another VR."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_legal(keyword: str, value: object) -> bool:
    """Tell whether an attribute may have a value; an empty one is always allowed."""
    text = str(value or "").strip()
    if not text:
        return True
    if isinstance(value, MultiValue):
        return _vm(keyword) != "1" and all(_is_legal_single(keyword, each) for each in value)
    return _is_legal_single(keyword, value)


def _is_legal_single(keyword: str, value: object) -> bool:
    """Tell whether an attribute may have a single value."""
    if _vr(keyword) in _TEXT and not isinstance(value, str | PersonName):
        return False
    text = str(value).strip()
    if keyword in _DATES:
        return len(text) == len("YYYYMMDD") and datetime.strptime(text, "%Y%m%d").year >= _FIRST_YEAR  # noqa: DTZ007 (a day has no zone)
    if pattern := _PATTERNS.get(keyword):
        return pattern.fullmatch(text) is not None
    return _fits(_vr(keyword), text)


def shortened(keyword: str, value: str) -> str:
    """Return a text cut to the maximum length of an attribute's VR, without control characters."""
    return _CONTROL.sub(" ", value)[: _CHARACTERS[_vr(keyword)]].strip()


def _fits(vr: str, text: str) -> bool:
    if vr not in _CHARACTERS:
        return True
    if vr in {"ST", "LT"}:
        return len(text) <= _CHARACTERS[vr]
    groups = text.split("=") if vr == "PN" else [text]
    return (
        _CONTROL.search(text) is None
        and len(groups) <= _NAME_GROUPS
        and all(len(group) <= _CHARACTERS[vr] for group in groups)
        and (vr != "PN" or all(group.count("^") < _NAME_COMPONENTS for group in groups))
    )


def _vr(keyword: str) -> str:
    return str(dictionary_VR(tag_for_keyword(keyword) or 0))


def _vm(keyword: str) -> str:
    return str(dictionary_VM(tag_for_keyword(keyword) or 0))
