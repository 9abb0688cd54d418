"""From Specific Character Set, as devices write it, to the sets it means (PS3.3 C.12.1.1.2)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from dicom_node.report.character_set_names import TERMS, codec_named, number_named
from dicom_node.report.graphic_sets import (
    ASCII,
    ESCAPE,
    ESCAPES,
    FIRST_G1,
    JIS_KATAKANA,
    JIS_ROMAN,
    SETS,
    GraphicSet,
    decoded,
)

_LATIN: Final = frozenset({100, 101, 109, 110, 148, 203})
_VENDORS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {
        100: ("cp1252",),
        203: ("cp1252",),
        101: ("cp1250",),
        110: ("cp1257",),
        144: ("cp1251",),
        126: ("cp1253",),
        148: ("cp1254",),
        138: ("cp1255",),
        127: ("cp1256",),
        166: ("cp874",),
        13: ("cp932",),
        87: ("euc_jp", "cp932"),
        149: ("cp949",),
        58: ("gb18030",),
    }
)
"""What senders write instead of a set: the coding that their operating system has for that language."""


@dataclass(frozen=True, kw_only=True)
class CharacterSets:
    """What Specific Character Set means."""

    sets: tuple[GraphicSet, ...] = ()
    """By value; ISO 2022."""
    codec: str = ""
    """Instead of sets: a coding of its own."""
    defined: bool = True
    """Every value was a defined term, in its form."""
    name: str = field(default="", compare=False)
    """As defined terms, for the audit log."""

    def __bool__(self) -> bool:
        return bool(self.sets or self.codec)

    @property
    def is_latin(self) -> bool:
        """Tell whether it is one of the sets of European languages in Latin letters alone."""
        return len(self.sets) == 1 and self.sets[0].number in _LATIN

    @property
    def has_alphabets(self) -> bool:
        """Tell whether it is a Latin set whose languages `unlikely_spelling` knows: Latin-1, -4, -5 or -9."""
        return self.is_latin and self.sets[0].number in {100, 110, 148, 203}

    @property
    def is_single_byte(self) -> bool:
        """Tell whether every character is one byte."""
        return bool(self.sets) and all(each.width == 1 for each in self.sets)

    @property
    def repertoire(self) -> frozenset[str]:
        """Its characters, where every one is a byte."""
        return frozenset(text for each in self.sets for text in _characters(each))

    def decode(self, data: bytes, delimiters: bytes) -> str:
        """Return the text, by the letter of the standard; ValueError if it is none."""
        if self.codec:
            return _without_escapes(data).decode(self.codec)
        first = (JIS_ROMAN if JIS_KATAKANA in self.sets[:1] else ASCII, self._first_high(self.sets[:1]))
        own = {code: each for code, each in ESCAPES.items() if each in (*self.sets, ASCII, JIS_ROMAN)}
        return decoded(data, first, own, delimiters)

    def decode_leniently(self, data: bytes, delimiters: bytes) -> str:
        """Return the text with undeclared or missing escape sequences; ValueError if it is none."""
        if self.codec:
            raise ValueError("there is one way to read it")
        texts = []
        for resets in (delimiters, b""):
            for high in (self._first_high(self.sets[:1]), self._first_high(self.sets)):
                try:
                    return decoded(data, (ASCII, high), ESCAPES, resets, extended=True)
                except ValueError as error:
                    texts.append(error)
        raise texts[0]

    @property
    def vendor_codecs(self) -> tuple[str, ...]:
        """The codings that senders confuse with it."""
        if self.codec:
            return ("gb18030",) if self.codec == "gbk" else ()
        return tuple(codec for each in self.sets for codec in _VENDORS.get(each.number, ()))

    @staticmethod
    def _first_high(sets: Sequence[GraphicSet]) -> GraphicSet | None:
        return next((each for each in sets if each.area == "G1"), None)


def _without_escapes(data: bytes) -> bytes:
    """Return the bytes; ValueError if there is an escape sequence, which only ISO 2022 has."""
    if ESCAPE in data:
        raise ValueError("an escape sequence")
    return data


def _characters(of: GraphicSet) -> Iterator[str]:
    for byte in range(FIRST_G1, 0x100):
        with suppress(UnicodeDecodeError):
            yield of.character(bytes((byte,)))


def character_sets(terms: object) -> CharacterSets:
    """Return the sets of a value of Specific Character Set; none if no term is known.

    A term counts by its letters and digits, so that ISO-IR 100, iso_ir_100 and Latin1 are ISO_IR 100.
    """
    several = list(terms) if isinstance(terms, Sequence) and not isinstance(terms, str) else [terms or ""]
    values = [str(term).strip(" \0") for term in several]
    codecs = [codec for value in values if (codec := codec_named(value))]
    if codecs:
        name = TERMS.get(codecs[0], codecs[0])
        return CharacterSets(codec=codecs[0], defined=values == [name], name=name)
    numbers = [number_named(value) for value in values]
    sets = tuple(SETS[number] for number in numbers if number is not None and number in SETS)
    if not any(values) or not sets:
        return CharacterSets(defined=not any(values))
    proper = [_term(each, extended=len(values) > 1) for each in sets]
    defined = proper == [value or "ISO 2022 IR 6" for value in values]
    return CharacterSets(sets=sets, defined=defined, name="\\".join(proper))


def _term(of: GraphicSet, *, extended: bool) -> str:
    """Return the defined term of a set, with or without code extension."""
    return f"ISO 2022 IR {of.number}" if extended or of.width > 1 else f"ISO_IR {of.number}"
