"""The sets of graphic characters that texts may be coded in, and how they are switched (PS3.3 C.12.1.1.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

SPACE, DELETE, ESCAPE, FIRST_G1 = 0x20, 0x7F, 0x1B, 0xA0
HIGH_BIT: Final = 0x80
END_OF_LINE: Final = frozenset(b"\t\n\f\r")
"""After these, as after delimiters, the first set of the value is active again (PS3.5 6.1.2.5.3)."""


@dataclass(frozen=True, kw_only=True)
class GraphicSet:
    """One set of ISO 2375."""

    number: int
    """Its registration number."""
    escape: bytes
    """The sequence that makes it active."""
    area: Literal["G0", "G1"]
    """G0 is coded in bytes below 0x80, G1 in those above."""
    codec: str
    """Python's name of a coding that holds it in bytes above 0x80."""
    width: int = 1
    """Bytes per character."""
    prefix: bytes = b""
    """What that coding puts before every character."""

    def character(self, code: bytes, *, extended: bool = False) -> str:
        """Return the character of `width` bytes; UnicodeDecodeError or ValueError if there is none.

        `extended` also knows what Windows adds to JIS X 0208.
        """
        if self.width == 1:
            return code.decode(self.codec)
        high = bytes(byte | HIGH_BIT for byte in code)
        try:
            return (self.prefix + high).decode(self.codec)
        except UnicodeDecodeError:
            if not (extended and self is JIS_X_0208):
                raise
            return _shifted(code).decode("cp932")


def _shifted(code: bytes) -> bytes:
    """Return the Shift JIS bytes of a character of JIS X 0208 or of its extensions by NEC and IBM."""
    row, cell = (byte % HIGH_BIT - SPACE - 1 for byte in code)
    first = row // 2 + (0x81 if row < 62 else 0xC1)  # noqa: PLR2004 - Shift JIS: 0xA0 to 0xDF are no first bytes
    second = cell + 0x9F if row % 2 else cell + (0x40 if cell < 63 else 0x41)  # noqa: PLR2004 - 0x7F is no second byte
    return bytes((first, second))


def _single(number: int, final: bytes, part: int) -> GraphicSet:
    return GraphicSet(number=number, escape=b"\x1b-" + final, area="G1", codec=f"iso8859_{part}")


ASCII: Final = GraphicSet(number=6, escape=b"\x1b(B", area="G0", codec="ascii")
JIS_ROMAN: Final = GraphicSet(number=14, escape=b"\x1b(J", area="G0", codec="ascii")
JIS_KATAKANA: Final = GraphicSet(number=13, escape=b"\x1b)I", area="G1", codec="shift_jis")
JIS_X_0208: Final = GraphicSet(number=87, escape=b"\x1b$B", area="G0", codec="euc_jp", width=2)
JIS_X_0212: Final = GraphicSet(
    number=159, escape=b"\x1b$(D", area="G0", codec="euc_jp", width=2, prefix=b"\x8f"
)
KS_X_1001: Final = GraphicSet(number=149, escape=b"\x1b$)C", area="G1", codec="euc_kr", width=2)
GB_2312: Final = GraphicSet(number=58, escape=b"\x1b$)A", area="G1", codec="gb2312", width=2)

SETS: Final[Mapping[int, GraphicSet]] = MappingProxyType(
    {
        each.number: each
        for each in (
            ASCII,
            JIS_ROMAN,
            _single(100, b"A", 1),
            _single(101, b"B", 2),
            _single(109, b"C", 3),
            _single(110, b"D", 4),
            _single(144, b"L", 5),
            _single(127, b"G", 6),
            _single(126, b"F", 7),
            _single(138, b"H", 8),
            _single(148, b"M", 9),
            _single(203, b"b", 15),
            GraphicSet(number=166, escape=b"\x1b-T", area="G1", codec="tis_620"),
            JIS_KATAKANA,
            JIS_X_0208,
            JIS_X_0212,
            KS_X_1001,
            GB_2312,
        )
    }
)
ESCAPES: Final[Mapping[bytes, GraphicSet]] = MappingProxyType(
    {
        **{each.escape: each for each in SETS.values()},
        b"\x1b$@": JIS_X_0208,  # its edition of 1978
    }
)
"""Every escape sequence that is understood, declared or not."""


def decoded(
    data: bytes,
    first: tuple[GraphicSet, GraphicSet | None],
    escapes: Mapping[bytes, GraphicSet],
    delimiters: bytes,
    *,
    extended: bool = False,
) -> str:
    """Return the text of `data`; escape sequences come first, so a delimiter inside a character is none.

    Args:
        data: a whole element, with the delimiters between its values.
        first: the sets in G0 and G1 at the start, and again after a delimiter.
        escapes: the sequences that may occur.
        delimiters: `^`, `=` and the backslash, as far as the VR has them.
        extended: see `GraphicSet.character`.

    Raises:
        ValueError: a byte has no meaning, or an escape sequence is not among `escapes`.
    """
    (low, high), texts, at = first, [], 0
    while at < len(data):
        byte = data[at]
        if byte == ESCAPE:
            sequence = next((each for each in escapes if data.startswith(each, at)), None)
            if sequence is None:
                raise ValueError("an escape sequence of another set")
            chosen = escapes[sequence]
            low, high = (chosen, high) if chosen.area == "G0" else (low, chosen)
            at += len(sequence)
            continue
        active = None if byte <= SPACE or byte == DELETE else low if byte < HIGH_BIT else high
        code = data[at : at + (active.width if active else 1)]
        texts.append(_character(code, active, extended=extended))
        at += len(code)
        if byte in END_OF_LINE or (active is not None and active.width == 1 and byte in delimiters):
            low, high = first
    return "".join(texts)


def _character(code: bytes, active: GraphicSet | None, *, extended: bool) -> str:
    if active is None:
        return code.decode("ascii")
    low, high = (SPACE + 1, DELETE - 1) if active.area == "G0" else (FIRST_G1, 0xFF)
    if len(code) != active.width or not all(low <= byte <= high for byte in code):
        raise ValueError("bytes that are no character of the active set")
    text = active.character(code, extended=extended)
    if len(text) != 1:
        raise ValueError("bytes that are no single character")
    return text
