"""The hash chain of the audit trail: how a row is hashed, and what a look at all rows tells.

Pure: rows come in order of their ids, as they are stored, and findings come out.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

GENESIS = "0" * 64
"""The hash before the first row."""
MAX_SUSPECTS = 200
"""Findings told one by one, and rows tried for having changed places; the rest is counted."""

Kind = Literal[
    "edited",
    "inserted",
    "moved",
    "unlinked",
    "removed",
    "cut_off",
    "counter",
    "guard",
    "segment",
    "checkpoint",
]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """One thing that is wrong with the trail, as a sentence."""

    kind: Kind
    row: int
    """Id of the row concerned, the first of several; 0 when it concerns none."""
    sentence: str


def digest(prev_hash: str, row: Row) -> str:
    """Return the hash of a row: over the hash before it and all its other columns."""
    # repr: a tampered row may hold bytes, and must be reported, not stumbled over.
    content = {name: value for name, value in row.items() if name not in ("prev_hash", "hash")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(f"{prev_hash}{text}".encode()).hexdigest()


@dataclass(kw_only=True)
class Chain:
    """Takes rows one after the other and remembers what was wrong, in bounded memory."""

    last_id: int = 0
    last_hash: str = GENESIS
    flaws: list[Flaw] = field(default_factory=list)
    untold: int = 0
    """Findings beyond the first `MAX_SUSPECTS`."""
    _last_odd: bool = False
    _suspects: list[Row] = field(default_factory=list)
    _missing: list[int] = field(default_factory=list)

    def extend(self, rows: Iterable[Row]) -> None:
        """Follow the chain through more rows."""
        for row in rows:
            self._follow(row)

    def skip_to(self, last_id: int, last_hash: str) -> None:
        """Go on after rows that cannot be read; what is wrong with them is told elsewhere."""
        self.last_id, self.last_hash = last_id, last_hash

    def close(self, highest_id: int | None) -> list[Flaw]:
        """Return everything found, by row; `highest_id` is the highest ever given, None when unknown."""
        self._judge_suspects()
        self._judge_end(highest_id)
        found = sorted(self.flaws, key=lambda flaw: flaw.row)
        if self.untold:
            found.append(Flaw(kind="edited", row=0, sentence=f"{self.untold} more rows do not fit"))
        return found

    def add(self, kind: Kind, row: int, sentence: str) -> None:
        """Keep a finding, or count it when there are too many."""
        if len(self.flaws) < MAX_SUSPECTS:
            self.flaws.append(Flaw(kind=kind, row=row, sentence=sentence))
        else:
            self.untold += 1

    def _follow(self, row: Row) -> None:
        number, link, claimed = row["id"], row["prev_hash"], row["hash"]
        gap = number - self.last_id - 1
        if gap > 0:
            self.add("removed", self.last_id + 1, f"{_rows(self.last_id + 1, number - 1)} removed")
            self._missing += range(self.last_id + 1, min(number, self.last_id + 1 + MAX_SUSPECTS))
        if number <= self.last_id:
            before = f"row {self.last_id} came before" if self.last_id else "ids start at 1"
            self.add("inserted", number, f"row {number} was inserted: {before}")
            return
        odd = claimed != digest(link, row)
        if odd:
            self._suspect(row)
        elif link != self.last_hash and gap == 0 and not self._last_odd:
            self.add("unlinked", number, _unlinked(number))
        self.last_id, self.last_hash, self._last_odd = number, claimed, odd

    def _suspect(self, row: Row) -> None:
        if len(self._suspects) < MAX_SUSPECTS:
            self._suspects.append(row)
        else:
            self.untold += 1

    def _judge_suspects(self) -> None:
        """Tell a row that changed its place from one that changed its content."""
        ids = [row["id"] for row in self._suspects]
        places = {*ids, *self._missing[:MAX_SUSPECTS], *(n + 1 for n in ids), *(n - 1 for n in ids)}
        origins = {row["id"]: _origin(row, places) for row in self._suspects}
        taken = set(origins.values())
        for row in self._suspects:
            number, origin = row["id"], origins[row["id"]]
            if origin is not None:
                self.add(
                    "moved", number, f"row {number} stands in a wrong place: it was written as row {origin}"
                )
            elif number in taken:
                self.add("inserted", number, f"row {number} was put where another row was")
            else:
                self.add("edited", number, f"row {number} was edited: its content does not match its hash")

    def _judge_end(self, highest_id: int | None) -> None:
        if (highest_id or 0) < self.last_id:
            self.add("counter", 0, "the counter of rows was set back or removed")
        elif highest_id is not None and highest_id > self.last_id:
            self.add("cut_off", self.last_id + 1, f"{_rows(self.last_id + 1, highest_id)} cut off at the end")


def _origin(row: Row, places: Iterable[int]) -> int | None:
    """Return the id under which this row has the hash that it claims."""
    fits = (place for place in places if digest(row["prev_hash"], {**row, "id": place}) == row["hash"])
    return next(fits, None)


def _unlinked(number: int) -> str:
    if number == 1:
        return "row 1 does not start the chain: rows before it were removed, or it was hashed again"
    return f"row {number} does not continue row {number - 1}: one of them was replaced and hashed again"


def _rows(first: int, last: int) -> str:
    return f"row {first} was" if first == last else f"rows {first} to {last} were"
