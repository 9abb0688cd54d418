"""The differences that an entropy-coded segment of JPEG Lossless holds (T.81 H.1.2.2, H.2.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
CODE_BITS = 16
"""Greatest length of a code, and most bits after one."""
CATEGORIES = 17  # SSSS of 0 to 16 (table H.2)
NO_EXTRA = 16
"""The category of the difference 32768, without bits after its code."""
BYTE_BITS = 8


@dataclass(frozen=True, kw_only=True)
class Table:
    """A Huffman table by the next 16 bits, whatever they are."""

    length: NDArray[np.uint8]
    """Of the code that they begin with; 0 if with none."""
    category: NDArray[np.uint8]

    @property
    def step(self) -> NDArray[np.uint8]:
        """Bits of code and difference together."""
        extra = np.where(self.category == NO_EXTRA, 0, self.category)
        return self.length + extra.astype(np.uint8)


def read_tables(payload: bytes) -> Mapping[int, Table]:
    """Return the tables of a DHT segment, by class and destination (B.2.4.2).

    Raises:
        ValueError: more codes than there can be, or categories that are none.
        IndexError: the segment is cut off.
    """
    found, offset = {}, 0
    while offset < len(payload):
        counts = payload[offset + 1 : offset + 1 + CODE_BITS]
        start = offset + 1 + CODE_BITS
        found[payload[offset]] = _table(counts, payload[start : start + sum(counts)])
        offset = start + sum(counts)
    return found


def _table(counts: bytes, categories: bytes) -> Table:
    """Give each category its code, in ascending order (C.2)."""
    length, category = np.zeros((2, 1 << CODE_BITS), dtype=np.uint8)
    first = place = 0
    for bits, count in enumerate(counts, start=1):
        for each in categories[place : place + count]:
            last = first + (1 << CODE_BITS - bits)
            if last > 1 << CODE_BITS or each >= CATEGORIES:
                raise ValueError("damaged Huffman table")
            length[first:last], category[first:last] = bits, each
            first = last
        place += count
    return Table(length=length, category=category)


class Reader:
    """Reads one segment between two markers, sample by sample; components take turns with their tables."""

    def __init__(self, coded: bytes, tables: Sequence[Table]) -> None:
        data = coded.rstrip(b"\xff").replace(b"\xff\x00", b"\xff")  # fill bytes, then stuffing (B.1.1.5)
        self._bits = BYTE_BITS * len(data)
        padded = np.frombuffer(data + bytes(2 + 2 * CODE_BITS), dtype=np.uint8).astype(np.uint32)
        self._words = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]
        self._tables, self._position = tables, 0
        steps = {id(table): self._steps(table) for table in tables}
        self._turns = [steps[id(table)] for table in tables]

    def differences(self, samples: int) -> Numbers:
        """Return the next differences, (samples, components), each -32767..32768.

        Raises:
            ValueError: there are not so many, or bits that are no code.
        """
        count = samples * len(self._tables)
        walk = accumulate(cycle(self._turns), lambda at, step: at + step[at], initial=self._position)
        try:
            starts = np.fromiter(walk, dtype=np.int64, count=count + 1)
        except IndexError:
            raise ValueError("the coded data of JPEG Lossless end early") from None
        self._position = int(starts[-1])
        if self._position > self._bits:
            raise ValueError("the coded data of JPEG Lossless end early")
        turns = starts[:-1].reshape(samples, len(self._tables))
        found = [self._read(turns[:, turn], table) for turn, table in enumerate(self._tables)]
        return np.stack(found, axis=-1)

    @property
    def bits_left(self) -> int:
        """Bits after the last difference read."""
        return self._bits - self._position

    def _steps(self, table: Table) -> memoryview:
        """Return how far the next code is from every bit of the data."""
        steps, by_word = np.empty((len(self._words), BYTE_BITS), dtype=np.uint8), table.step
        for bit in range(BYTE_BITS):
            steps[:, bit] = by_word[self._words >> (BYTE_BITS - bit) & 0xFFFF]
        return steps.reshape(-1).data

    def _read(self, starts: Numbers, table: Table) -> Numbers:
        """Return the differences whose codes start at these bits."""
        codes = self._next_bits(starts)
        lengths = table.length[codes]
        if not lengths.all():
            raise ValueError("the coded data of JPEG Lossless hold bits that are no code")
        category = table.category[codes].astype(np.int64)
        value = self._next_bits(starts + lengths) >> (CODE_BITS - category)
        half = 1 << category >> 1
        extended = np.where(value < half, value - 2 * half + 1, value)  # EXTEND (F.2.2.1)
        return np.where(category == NO_EXTRA, 1 << NO_EXTRA - 1, np.where(category == 0, 0, extended))

    def _next_bits(self, starts: Numbers) -> Numbers:
        words: Numbers = self._words[starts >> 3].astype(np.int64)
        words >>= BYTE_BITS - (starts & 7)
        return words & 0xFFFF
