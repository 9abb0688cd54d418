"""Verification of the audit log: every row of the database and of the segment files is checked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from store.audit import audit_log, segments, triggers
from store.audit.chain import Chain, Flaw, Row
from store.audit.segments import Segment, SegmentUnreadable


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Id and hash of the last row at a time, kept outside the database."""

    at: datetime
    id: int
    hash: str


@dataclass(kw_only=True)
class CheckpointComparison:
    """Compares rows with checkpoints."""

    checkpoints: Sequence[Checkpoint] = ()
    last_match: Checkpoint | None = None
    mismatches: list[Checkpoint] = field(default_factory=list)
    """Checkpoints whose row has another hash."""
    _highest_id: int = 0

    def compare(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows unchanged, comparing each with its checkpoints."""
        expected: dict[int, list[Checkpoint]] = {}
        for each in self.checkpoints:
            expected.setdefault(each.id, []).append(each)
        for row in rows:
            for each in expected.get(row["id"], ()):
                if each.hash == row["hash"]:
                    self.last_match = each
                else:
                    self.mismatches.append(each)
            self._highest_id = max(self._highest_id, row["id"])
            yield row

    def add_flaws_to(self, chain: Chain) -> None:
        """Add a flaw for the first mismatch, and one for checkpoints of rows that no longer exist."""
        if self.mismatches:
            first, since = self.mismatches[0], self.last_match.id if self.last_match else 0
            span = f"rows {since + 1} to {first.id}" if since < first.id else f"row {first.id}"
            observed = f"the checkpoint of {first.at:%Y-%m-%d %H:%M:%S} has another hash for row {first.id}"
            chain.add("checkpoint", first.id, f"{span} were rewritten: {observed}")
        beyond = [each for each in self.checkpoints if each.id > self._highest_id]
        if beyond:
            last = max(beyond, key=lambda each: each.id)
            observed = f"the checkpoint of {last.at:%Y-%m-%d %H:%M:%S} knows row {last.id}"
            sentence = f"rows after {self._highest_id} were cut off: {observed}"
            chain.add("checkpoint", self._highest_id + 1, sentence)


def verify(
    session: Session, *, sealed: Path | None = None, checkpoints: Sequence[Checkpoint] = ()
) -> list[Flaw]:
    """Return all flaws of the audit log by row id; an empty list means it is intact.

    Args:
        session: reads the database.
        sealed: folder of the segment files; None: they are not read.
        checkpoints: compared with the rows.
    """
    chain, comparison = Chain(), CheckpointComparison(checkpoints=checkpoints)
    for name in triggers.missing(session):
        chain.add(
            "trigger", 0, f"the trigger {name} is missing or was changed: rows can be changed unhindered"
        )
    for segment in segments.all_segments(session):
        _follow_segment(segment, chain, comparison, sealed)
    chain.extend(comparison.compare(audit_log.stored_rows(session)))
    comparison.add_flaws_to(chain)
    return chain.close(_highest_id(session))


def _follow_segment(
    segment: Segment, chain: Chain, comparison: CheckpointComparison, folder: Path | None
) -> None:
    begin = (chain.last_id + 1, chain.last_hash)
    if (segment.first_id, segment.first_prev_hash) != begin:
        rows = f"rows {segment.first_id} to {segment.last_id}"
        sentence = f"the segment of {rows} does not continue row {begin[0] - 1}"
        chain.add("segment", segment.first_id, sentence)
        chain.skip_to(segment.first_id - 1, segment.first_prev_hash)
    if folder is not None:
        _follow_file(segment, chain, comparison, folder / segment.file_name)
    chain.skip_to(segment.last_id, segment.last_hash)


def _follow_file(segment: Segment, chain: Chain, comparison: CheckpointComparison, path: Path) -> None:
    try:
        if segments.sha256_of(path) != segment.sha256:
            chain.add("segment", segment.first_id, f"the segment file {path.name} was changed")
        chain.extend(comparison.compare(segments.read(path)))
    except SegmentUnreadable as error:
        rows = f"rows {segment.first_id} to {segment.last_id} cannot be checked"
        chain.add("segment", segment.first_id, f"{error}: {rows}")
        return
    if (chain.last_id, chain.last_hash) != (segment.last_id, segment.last_hash):
        sentence = f"the segment file {path.name} does not end with row {segment.last_id} as it was sealed"
        chain.add("segment", segment.last_id, sentence)


def _highest_id(session: Session) -> int | None:
    highest = session.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'audit_events'"))
    return None if highest is None else int(highest)
