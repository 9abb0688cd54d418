"""The length of a segmented palette, counted before a decoder expands it (PS3.3 C.7.9).

An indirect segment repeats other segments, which may be indirect too: a hundred bytes may expand to 10^30
entries. As in pydicom, a count of 0 segments means all of them.
"""

from collections.abc import Sequence

MAX_ENTRIES = 1 << 16
"""Most entries of any look-up table (PS3.3 C.7.6.3.1.5)."""
DISCRETE, LINEAR, INDIRECT = 0, 1, 2
"""Segment types (PS3.3 C.7.9.2)."""


def check_length(words: Sequence[int], *, wide: bool) -> None:
    """Check that a segmented table does not expand beyond `MAX_ENTRIES`.

    Args:
        words: the entries, of 16 bits if `wide`, else of 8.
        wide: as above; an offset takes two wide entries or four narrow ones.

    Raises:
        ValueError: it has more entries or more segments.
    """
    counted = segments = 0
    todo = [(0, len(words))]
    while todo:
        offset, left = todo.pop()
        while left and offset + 1 < len(words):
            kind, length = words[offset], words[offset + 1]
            segments, left = segments + 1, left - 1
            counted += 0 if kind == INDIRECT else length
            if max(counted, segments) > MAX_ENTRIES:
                raise ValueError(f"a segmented palette of more than {MAX_ENTRIES} entries")
            if kind == INDIRECT:
                todo.append((_address(words[offset + 2 :], wide=wide), length or len(words)))
            offset += 2 + (length if kind == DISCRETE else 1 if kind == LINEAR else 2 if wide else 4)


def _address(words: Sequence[int], *, wide: bool) -> int:
    """Return the offset of the repeated segments, stored low word or byte first."""
    bits = 16 if wide else 8
    return sum(part << bits * place for place, part in enumerate(words[: 32 // bits]))
