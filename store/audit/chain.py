"""The hash chain of the audit log: the hash of a row, and the check of all rows. No I/O."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

GENESIS = "0" * 64
"""The hash before the first row."""
MAX_LISTED = 200
"""Flaws listed one by one, and rows tried for having been moved; further ones are only counted."""

FlawKind = Literal[
    "edited",
    "inserted",
    "moved",
    "unlinked",
    "removed",
    "cut_off",
    "counter",
    "trigger",
    "segment",
    "checkpoint",
]
Row = Mapping[str, Any]
"""A row of `audit_events` by column name, as it is stored: times as text, `detail` as JSON text. In a
tampered database a column may hold any type."""


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """One sign of tampering or loss."""

    kind: FlawKind
    row: int
    """Id of the affected row, the first of several; 0 for none."""
    sentence: str
    """For the operator."""


def digest(prev_hash: str, row: Row) -> str:
    """Return the SHA-256 of `prev_hash` and all columns of a row but the two hashes, in hexadecimal."""
    # repr: a tampered row may hold bytes, which JSON cannot express.
    content = {name: value for name, value in row.items() if name not in ("prev_hash", "hash")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(f"{prev_hash}{text}".encode()).hexdigest()


@dataclass(kw_only=True)
class Chain:
    """Checks rows in order of their ids and collects flaws, in bounded memory."""

    last_id: int = 0
    last_hash: str = GENESIS
    flaws: list[Flaw] = field(default_factory=list)
    unlisted: int = 0
    """Number of flaws beyond the first `MAX_LISTED`."""
    _last_mismatched: bool = False
    _mismatched: list[Row] = field(default_factory=list)
    """Rows whose content does not have their hash."""
    _missing: list[int] = field(default_factory=list)

    def extend(self, rows: Iterable[Row]) -> None:
        """Check further rows."""
        for row in rows:
            self._follow(row)

    def skip_to(self, last_id: int, last_hash: str) -> None:
        """Continue after rows that cannot be read; the caller adds the flaw."""
        self.last_id, self.last_hash = last_id, last_hash

    def close(self, highest_id: int | None) -> list[Flaw]:
        """Return all flaws by row id.

        `highest_id` is the highest id that the database ever assigned; None when unknown.
        """
        self._classify_mismatched()
        self._check_end(highest_id)
        flaws = sorted(self.flaws, key=lambda flaw: flaw.row)
        if self.unlisted:
            flaws.append(Flaw(kind="edited", row=0, sentence=f"{self.unlisted} more rows do not fit"))
        return flaws

    def add(self, kind: FlawKind, row: int, sentence: str) -> None:
        """List a flaw, or only count it after `MAX_LISTED`."""
        if len(self.flaws) < MAX_LISTED:
            self.flaws.append(Flaw(kind=kind, row=row, sentence=sentence))
        else:
            self.unlisted += 1

    def _follow(self, row: Row) -> None:
        number, link, claimed = row["id"], row["prev_hash"], row["hash"]
        gap = number - self.last_id - 1
        if gap > 0:
            self.add("removed", self.last_id + 1, f"{_rows(self.last_id + 1, number - 1)} removed")
            self._missing += range(self.last_id + 1, min(number, self.last_id + 1 + MAX_LISTED))
        if number <= self.last_id:
            before = f"row {self.last_id} came before" if self.last_id else "ids start at 1"
            self.add("inserted", number, f"row {number} was inserted: {before}")
            return
        mismatched = claimed != digest(link, row)
        if mismatched:
            self._keep_mismatched(row)
        elif link != self.last_hash and gap == 0 and not self._last_mismatched:
            self.add("unlinked", number, _unlinked(number))
        self.last_id, self.last_hash, self._last_mismatched = number, claimed, mismatched

    def _keep_mismatched(self, row: Row) -> None:
        if len(self._mismatched) < MAX_LISTED:
            self._mismatched.append(row)
        else:
            self.unlisted += 1

    def _classify_mismatched(self) -> None:
        """Distinguish rows whose id was changed from rows whose content was changed."""
        ids = [row["id"] for row in self._mismatched]
        places = {*ids, *self._missing[:MAX_LISTED], *(n + 1 for n in ids), *(n - 1 for n in ids)}
        origins = {row["id"]: _origin(row, places) for row in self._mismatched}
        taken = set(origins.values())
        for row in self._mismatched:
            number, origin = row["id"], origins[row["id"]]
            if origin is not None:
                self.add(
                    "moved", number, f"row {number} stands in a wrong place: it was written as row {origin}"
                )
            elif number in taken:
                self.add("inserted", number, f"row {number} was put where another row was")
            else:
                self.add("edited", number, f"row {number} was edited: its content does not match its hash")

    def _check_end(self, highest_id: int | None) -> None:
        if (highest_id or 0) < self.last_id:
            self.add("counter", 0, "the counter of rows was set back or removed")
        elif highest_id is not None and highest_id > self.last_id:
            self.add("cut_off", self.last_id + 1, f"{_rows(self.last_id + 1, highest_id)} cut off at the end")


def _origin(row: Row, places: Iterable[int]) -> int | None:
    """Return the id with which this row has its stored hash; None if it has with none of `places`."""
    fits = (place for place in places if digest(row["prev_hash"], {**row, "id": place}) == row["hash"])
    return next(fits, None)


def _unlinked(number: int) -> str:
    if number == 1:
        return "row 1 does not start the chain: rows before it were removed, or it was hashed again"
    return f"row {number} does not continue row {number - 1}: one of them was replaced and hashed again"


def _rows(first: int, last: int) -> str:
    return f"row {first} was" if first == last else f"rows {first} to {last} were"
