"""Files that are being removed: their own rows, if they have any, say that they are gone; these, not yet.

Removing a file takes the disk's time, which no other writer should wait for. So the decision is one
transaction, the removal none, and its end another transaction. After a crash in between the paths are here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from store.db.file_schema import file_removal_table as table

Kind = Literal["instance", "result"]


@dataclass(frozen=True, kw_only=True)
class FileRemoval:
    """One file that is to be removed."""

    path: str
    """Relative to the data folder."""
    kind: Kind
    study_uid: str
    because: str
    """See `storage.retention.removal_reason` and `announced_results`."""


def add(session: Session, removals: Sequence[FileRemoval]) -> None:
    """Record files that are to be removed."""
    if removals:
        session.execute(insert(table), [vars(each) for each in removals])


def first(session: Session, *, limit: int) -> list[FileRemoval]:
    """Return some files that are to be removed, all of one study and kind."""
    head = session.execute(select(table).limit(1)).mappings().one_or_none()
    if head is None:
        return []
    query = select(table).filter_by(kind=head["kind"], study_uid=head["study_uid"], because=head["because"])
    return [FileRemoval(**row) for row in session.execute(query.limit(limit)).mappings()]


def pending(session: Session, paths: Sequence[str]) -> set[str]:
    """Return, of these paths, those of files that are to be removed."""
    return set(session.scalars(select(table.c.path).where(table.c.path.in_(paths))))


def done(session: Session, removals: Sequence[FileRemoval]) -> None:
    """Forget files that were removed."""
    session.execute(delete(table).where(table.c.path.in_([each.path for each in removals])))
