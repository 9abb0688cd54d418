"""Whether a decoded text is likely: a wrong set of one byte a character decodes anything, into nonsense."""

import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Final

from dicom_node.report.unlikely_spelling import is_misspelt, lacks_capitals

SHORTEST_ODD_WORD: Final = 3
"""Letters of a word with no ASCII letter, in Latin script, that is odd; in a name, one less is."""
OF_NAMES: Final = frozenset("\u00a0\u00b7\u2019\u2018\u2010\u2011\u2013\u00ad\u30fb\uff65")
"""Signs beyond ASCII that names have: spaces, dots, apostrophes, hyphens."""
LOST: Final = "\ufffd"
HIGH_BIT: Final = 0x80
FIRST_C1, LAST_C1 = 0x80, 0x9F


def is_doubtful(text: str, *, is_name: bool) -> bool:
    """Tell whether a text, decoded from a set of one byte a character, can hardly be what was written."""
    if has_controls(text):
        return True
    if is_name and (lacks_capitals(text) or any(_is_sign(each) for each in text)):
        return True
    return any(_is_odd(word, is_name=is_name) for word in words(text))


def has_controls(text: str) -> bool:
    """Tell whether there are control characters of eight bits, which DICOM has not."""
    return any(FIRST_C1 <= ord(each) <= LAST_C1 for each in text)


def is_interspersed(text: str) -> bool:
    """Tell whether a word of small Latin letters has others between them, as no Chinese text has."""
    return any(
        any(one.isascii() and not two.isascii() and three.isascii() for one, two, three in _triples(word))
        for word in words(text)
        if any(each.isascii() and each.islower() for each in word)
    )


def swallows_letters(text: str, codec: str) -> bool:
    """Tell whether a word with Latin letters has a character whose second byte is ASCII.

    So Latin-1 looks in Chinese sets: an accented letter takes the next one with it.
    """
    return any(
        any(letter.isascii() for letter in word)
        and any(not letter.isascii() and letter.encode(codec)[1] < HIGH_BIT for letter in word)
        for word in words(text)
    )


def decoded_again(text: str) -> str | None:
    """Return what a text was before its UTF-8 was taken for Latin-1 and encoded again."""
    for codec in ("latin_1", "cp1252"):
        with suppress(UnicodeError):
            once = text.encode(codec).decode("utf_8")
            if once != text:
                return once
    return None


def words(text: str) -> Iterator[str]:
    """Yield the runs of letters and marks."""
    yield from "".join(each if unicodedata.category(each)[0] in "LM" else " " for each in text).split()


def script(letter: str) -> str:
    """Return the script of a letter, as the first word of its name says it; marks have none."""
    if unicodedata.category(letter)[0] == "M" or unicodedata.category(letter) == "Lm":
        return ""
    return (
        unicodedata.name(letter, "UNKNOWN").removeprefix("HALFWIDTH ").removeprefix("FULLWIDTH ").split()[0]
    )


def _triples(word: str) -> Iterator[tuple[str, str, str]]:
    return zip(word, word[1:], word[2:], strict=False)


def _is_sign(each: str) -> bool:
    return not each.isascii() and unicodedata.category(each)[0] not in "LMZ" and each not in OF_NAMES


def _is_odd(word: str, *, is_name: bool) -> bool:
    if word.isascii():
        return False
    if all(script(each) == "LATIN" for each in word):
        shortest = SHORTEST_ODD_WORD - is_name
        return len(word) >= shortest and not any(each.isascii() for each in word)
    return is_misspelt(word) or _is_mixed(word) or (is_name and _changes_case(word))


def _is_mixed(word: str) -> bool:
    """Tell whether Latin letters stand among others; capitals before or after several others may."""
    scripts = [script(each) for each in word]
    latin = [each == "LATIN" for each in scripts]
    others = sum(bool(each) and each != "LATIN" for each in scripts)
    if not any(latin) or not others:
        return False
    edges = sum(one != other for one, other in pairwise(latin))
    letters = "".join(each for each, is_latin in zip(word, latin, strict=True) if is_latin)
    return not (letters.isascii() and letters.isupper() and edges == 1 and others > 1)


def _changes_case(word: str) -> bool:
    """Tell whether a capital follows a small letter, one of them beyond ASCII."""
    return any(
        one.islower() and other.isupper() and not (one + other).isascii() for one, other in pairwise(word)
    )
