"""Legal values that say the same as illegal ones, where there is just one such value."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final

from dicom_node.report.legal import CONTROL, MAX_CHARACTERS, has_control

CUT: Final = frozenset(
    {
        "CodeMeaning",
        "DeidentificationMethod",
        "InstitutionName",
        "Manufacturer",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "RequestedProcedureDescription",
        "StationName",
        "StudyDescription",
    }
)
"""Descriptive texts, which are cut if they are too long; nothing that identifies is."""
DIGITS: Final = range(15, 0, -1)
_DATE: Final = re.compile(r"(\d{4})([./-])(\d\d)\2(\d\d)", re.ASCII)
_TIME: Final = re.compile(r"(\d\d):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?", re.ASCII)


def rewritten(keyword: str, vr: str, text: str) -> tuple[str, str]:
    """Return another value for an illegal one, and how it was made; it may be illegal too.

    Both are empty if there is none.
    """
    without = CONTROL.sub(" ", text).strip()
    if keyword in CUT:
        most = MAX_CHARACTERS[vr]
        return without[:most].strip(), f"cut to {most} characters" if len(
            without
        ) > most else "written without"
    value, done = _BY_VR.get(vr, lambda value: value)(without), "rewritten"
    return (value, done) if value != text else ("", "")


def shown(text: str) -> str:
    """Return a text with the numbers of its control characters, such as <00>."""
    return "".join(f"<{ord(each):02X}>" if has_control("LO", each) else each for each in text)


def _age(value: str) -> str:
    """Return 44y as 044Y."""
    return value.upper().rjust(4, "0")


def _date(value: str) -> str:
    """Return YYYY.MM.DD of ACR-NEMA, and its like, without separators."""
    found = _DATE.fullmatch(value)
    return found[1] + found[3] + found[4] if found else value


def _time(value: str) -> str:
    """Return HH:MM:SS of ACR-NEMA without colons."""
    found = _TIME.fullmatch(value)
    return found[1] + found[2] + (found[3] or "") if found else value


def decimal_string(value: str) -> str:
    """Return a number in the 16 characters of DS, rounded if there is no other way."""
    with suppress(InvalidOperation):
        number = Decimal(value)
        for digits in DIGITS if number.is_finite() else ():
            rounded = Decimal(f"{number:.{digits}g}").normalize()
            plain = f"{rounded:f}" if abs(rounded.adjusted()) < DIGITS[0] else str(rounded)
            text = min(plain, str(rounded), key=len)
            if len(text) <= MAX_CHARACTERS["DS"]:
                return plain if len(plain) <= MAX_CHARACTERS["DS"] else text
    return value


def integer_string(value: str) -> str:
    """Return a whole number, such as 3.0, as IS writes it."""
    with suppress(InvalidOperation, ValueError, OverflowError):
        number = Decimal(value)
        if (
            number.is_finite()
            and number == number.to_integral_value()
            and abs(number.adjusted()) <= DIGITS[0]
        ):
            return str(int(number))
    return value


_BY_VR: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "AS": _age,
        "CS": str.upper,
        "DA": _date,
        "DS": decimal_string,
        "IS": integer_string,
        "TM": _time,
    }
)
