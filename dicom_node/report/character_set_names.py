"""The names that devices give to character sets (PS3.3 C.12.1.1.2), defined terms and others."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

US_ASCII: Final = 6
UNICODE: Final = 192
_PARTS: Final = {
    1: 100,
    2: 101,
    3: 109,
    4: 110,
    5: 144,
    6: 127,
    7: 126,
    8: 138,
    9: 148,
    11: 166,
    15: 203,
}
"""Parts of ISO 8859 by registration number, for those who name the part."""
_LATINS: Final = {1: 100, 2: 101, 3: 109, 4: 110, 5: 148, 9: 203}
_WHOLE: Final = {
    "utf_8": ("UTF8", "UNICODE", "UTF", "ISO10646", "ISO10646UTF8", "UTF8MB4", "CP65001"),
    "gb18030": ("GB18030", "GB180302000", "GB180302005", "GB180302022", "CP54936", "ISO2022GB18030"),
    "gbk": ("GBK", "CP936", "WINDOWS936", "MS936", "ISO2022GBK", "GB2312", "EUCCN", "GB231280"),
    "big5": ("BIG5", "CP950"),
    "cp932": ("SHIFTJIS", "SJIS", "CP932", "MS932", "WINDOWS31J", "MSKANJI"),
    "euc_jp": ("EUCJP",),
    "cp949": ("EUCKR", "CP949", "UHC", "KSC5601", "KSC56011987", "KSX1001", "MS949"),
    "cp874": ("TIS620", "CP874", "WINDOWS874"),
    "koi8_r": ("KOI8R", "KOI8"),
    **{f"cp{page}": (f"CP{page}", f"WINDOWS{page}") for page in range(1250, 1258)},
}
_CODECS: Final[Mapping[str, str]] = MappingProxyType(
    {name: codec for codec, names in _WHOLE.items() for name in names}
)
"""Codings without escape sequences, by the letters and digits of the names in use."""
DEFINED: Final = {"GB18030": "gb18030", "GBK": "gbk", "ISO_IR 192": "utf_8"}
TERMS: Final[Mapping[str, str]] = MappingProxyType({codec: term for term, codec in DEFINED.items()})
_NUMBERED: Final = re.compile(r"(?:ISO)?(?:2022)?(?:IR)?(\d{1,3})")
_PART: Final = re.compile(r"(?:ISO)?(?:IEC)?8859(\d{1,2})(?:(?:19|20)\d\d)?")
_LATIN_NAME: Final = re.compile(r"(?:ISO)?L(?:ATIN)?(\d)")


def _key(value: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", value.upper())


def codec_named(value: str) -> str | None:
    """Return the Python codec that a value names: of a coding without escape sequences; None for others."""
    key = _key(value)
    return "utf_8" if _numbered(key) == UNICODE else _CODECS.get(key)


def number_named(value: str) -> int | None:
    """Return the registration number of the set that a value names; an empty one is ASCII."""
    key = _key(value)
    if key in {"", "ASCII", "USASCII", "ISO646", "ANSI"}:
        return US_ASCII
    if found := _PART.fullmatch(key):
        return _PARTS.get(int(found[1]))
    if found := _LATIN_NAME.fullmatch(key):
        return _LATINS.get(int(found[1]))
    return _numbered(key)


def _numbered(key: str) -> int | None:
    found = _NUMBERED.fullmatch(key)
    return int(found[1]) if found else None
