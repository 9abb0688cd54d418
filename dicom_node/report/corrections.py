"""What was wrong with an attribute of a source image, and what the results have instead."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

MOST: Final = 64
"""Corrections of one image that are recorded; the last says how many more there were."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """One fault, in words of the node's own: no value of the source is quoted."""

    keyword: str
    """Of the attribute; inside a sequence, with that of the sequence and a dot before it."""
    wrong: str
    done: str
    of_charset: bool = False
    """The fault is in how the text was coded."""


class Corrections:
    """Collects the corrections of one image, each once."""

    def __init__(self) -> None:
        self._found: dict[Correction, None] = {}

    def add(self, keyword: str, wrong: str, done: str, *, of_charset: bool = False) -> None:
        """Record a fault."""
        found = Correction(keyword=keyword, wrong=wrong, done=done, of_charset=of_charset)
        self._found.setdefault(found)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Correction]:
        yield from islice(self._found, MOST)
        if len(self._found) > MOST:
            yield Correction(keyword="others", wrong=f"{len(self._found) - MOST} more", done="as above")


def as_json(corrections: Sequence[Correction]) -> list[dict[str, str]]:
    """Return corrections as the audit log keeps them."""
    return [{"keyword": each.keyword, "wrong": each.wrong, "done": each.done} for each in corrections]
