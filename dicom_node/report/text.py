"""Decoding of texts: by the set that is declared, and by rule where the bytes contradict it.

Every text that the node passes on is read here. What is not read as declared carries a remark.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from dicom_node.report.character_sets import CharacterSets, character_sets
from dicom_node.report.doubtful_text import (
    LOST,
    decoded_again,
    has_controls,
    is_doubtful,
    is_interspersed,
    swallows_letters,
    words,
)
from dicom_node.report.graphic_sets import DELETE, ESCAPE
from dicom_node.report.unlikely_spelling import is_of_no_language

TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""The value representations that Specific Character Set applies to (PS3.5 6.1.2.3)."""
DELIMITERS: Final = {"PN": b"\\^=", "LO": b"\\", "SH": b"\\", "UC": b"\\"}
"""Where the first set becomes active again (PS3.5 6.1.2.5.3)."""
ISO_2022: Final = character_sets("ISO_IR 6")
UTF_8: Final = character_sets("ISO_IR 192")
GB_CODECS: Final = frozenset({"gb18030", "gbk"})
FEW: Final = 3
"""So few characters may be valid UTF-8 by chance, in sets whose letters are bytes such as C3 BC."""
FIRST_WIDE: Final = "\u2e80"
"""Of the characters of East Asia, three bytes each in UTF-8."""

NOT_NAMED: Final = "8-bit text and no Specific Character Set"
NO_TERM: Final = "Specific Character Set is no defined term"
CONTRADICTS: Final = "the bytes contradict Specific Character Set"
DOUBTFUL: Final = "words that are unlikely in the declared character set"
OF_ANOTHER: Final = "letters that the character set of the site reads otherwise"
PERHAPS_TURKISH: Final = "letters that ISO_IR 148 reads as Turkish ones"
TURKISH_IN_LATIN_5: Final = frozenset("ÐÝÞðýþ")
"""The letters of Latin-1, -2 and -9 whose codes are those of the six Turkish ones of Latin-5."""
TWICE: Final = "UTF-8 that was encoded twice"
WAS_LOST: Final = "the sender had replaced letters by U+FFFD"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A decoded text, its values still joined by backslashes."""

    text: str
    wrong: str = ""
    """What is wrong with it; empty if it was read as declared."""
    done: str = ""
    """How it was read instead."""


class TextReader:
    """Decodes the texts of one data set.

    Args:
        declared: its Specific Character Set.
        default: the setting `report.default_charset`, which counts where none is declared, and is tried
            where the declared one fails.
    """

    def __init__(self, declared: object, default: str) -> None:
        named = character_sets(declared)
        self._default = character_sets(default)
        self._sets = named or self._default
        self._label = "" if named.defined else NO_TERM
        if not named and named.defined:
            self._label = NOT_NAMED

    def read(self, data: bytes, vr: str) -> Reading:
        """Return the text of an element; bytes that no rule reads become numbers such as <FC>."""
        if data.isascii() and b"\x1b" not in data:
            return Reading(text=data.decode("ascii"))
        reading = self._read(data, vr)
        return replace(reading, text=reading.text.removeprefix("\ufeff"))  # a mark, and no text

    def _read(self, data: bytes, vr: str) -> Reading:
        text = _decoded(self._sets, data, vr)
        trusted = text is not None and not _is_doubtful(self._sets, text, data, as_name=vr == "PN")
        if text is not None and trusted and not _is_rather_utf_8(self._sets, text, data):
            return self._as_declared(text, data, vr)
        wrong = self._label or (CONTRADICTS if text is None or trusted else DOUBTFUL)
        for name, other in self._readings(data, vr, as_name=text is not None or vr == "PN"):
            if other != text:
                return Reading(text=other, wrong=wrong, done=f"read as {name}")
        if text is not None:
            return Reading(text=text, wrong=wrong, done=f"read as {self._sets.name}")
        return Reading(text=numbered(data), wrong=wrong, done="unreadable bytes written as numbers")

    def _as_declared(self, text: str, data: bytes, vr: str) -> Reading:
        done = f"read as {self._sets.name}"
        if self._sets == UTF_8 and (once := decoded_again(text)):
            return Reading(text=once, wrong=TWICE, done=f"{done} once more")
        if LOST in text:
            return Reading(text=text, wrong=WAS_LOST, done=done)
        if self._label:
            return Reading(text=text, wrong=self._label, done=done)
        if self._sets != UTF_8 and ESCAPE not in data:
            if _decoded(self._default, data, vr) not in (text, None):
                return Reading(text=text, wrong=OF_ANOTHER, done=done)
            if self._sets.is_latin and TURKISH_IN_LATIN_5 & set(text):
                return Reading(text=text, wrong=PERHAPS_TURKISH, done=done)
        return Reading(text=text)

    def _readings(self, data: bytes, vr: str, *, as_name: bool) -> Iterator[tuple[str, str]]:
        """Yield what else the bytes may be, the surest first, with the name of the coding.

        `as_name` holds them to what is likely in a name, so that they are likelier than what is declared.
        """
        if (text := _decoded(UTF_8, data, vr)) is not None:
            yield UTF_8.name, text
        if ESCAPE in data:
            yield from _by_escapes(data, vr)
            return
        if not self._sets.is_single_byte:
            yield from _lenient(self._sets, data, vr, as_name=as_name)
        text = _decoded(self._default, data, vr)
        if text is not None and not _is_doubtful(self._default, text, data, as_name=as_name):
            yield self._default.name, text
        for sets in (self._sets, self._default):
            yield from _lenient(sets, data, vr, as_name=as_name)
            yield from _of_vendors(sets, data, as_name=as_name)


def numbered(data: bytes) -> str:
    """Return ASCII as it is, and every other byte as its hexadecimal number: <FC>."""
    return "".join(chr(each) if each < DELETE and each != ESCAPE else f"<{each:02X}>" for each in data)


def _decoded(sets: CharacterSets, data: bytes, vr: str) -> str | None:
    """Return the text by the letter of the standard, None if the bytes are none."""
    try:
        return sets.decode(data, DELIMITERS.get(vr, b""))
    except ValueError:
        return None


def _by_escapes(data: bytes, vr: str) -> Iterator[tuple[str, str]]:
    with suppress(ValueError):
        yield "its escape sequences say", ISO_2022.decode_leniently(data, DELIMITERS.get(vr, b""))


def _lenient(sets: CharacterSets, data: bytes, vr: str, *, as_name: bool) -> Iterator[tuple[str, str]]:
    with suppress(ValueError):
        text = sets.decode_leniently(data, DELIMITERS.get(vr, b""))
        if not (sets.is_single_byte and is_doubtful(text, is_name=as_name)):
            yield f"{sets.name} without escape sequences", text


def _of_vendors(sets: CharacterSets, data: bytes, *, as_name: bool) -> Iterator[tuple[str, str]]:
    for codec in sets.vendor_codecs:
        with suppress(ValueError):
            text = data.decode(codec)
            if not has_controls(text) and not (sets.is_single_byte and is_doubtful(text, is_name=as_name)):
                yield codec, text


def _is_doubtful(sets: CharacterSets, text: str, data: bytes, *, as_name: bool) -> bool:
    if sets.is_single_byte or (sets.sets and ESCAPE not in data):
        foreign = sets.has_alphabets and as_name and any(map(is_of_no_language, words(text)))
        return foreign or is_doubtful(text, is_name=as_name)
    return has_controls(text) or (
        sets.codec in GB_CODECS and (swallows_letters(text, sets.codec) or is_interspersed(text))
    )


def _is_rather_utf_8(sets: CharacterSets, text: str, data: bytes) -> bool:
    """Tell whether bytes that are also valid in `sets` are UTF-8."""
    if sets == UTF_8 or ESCAPE in data:
        return False
    try:
        other = [each for each in data.decode("utf_8") if not each.isascii()]
    except UnicodeDecodeError:
        return False
    if sets.is_single_byte:
        return sets.is_latin or len(other) >= FEW or set(other) <= sets.repertoire
    return any(each >= FIRST_WIDE for each in other) or not _is_plain_chinese(data) or is_interspersed(text)


def _is_plain_chinese(data: bytes) -> bool:
    try:
        return bool(data.decode("gb2312"))
    except UnicodeDecodeError:
        return False
