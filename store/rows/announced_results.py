"""Files of results that a job announces before it writes them, so that none stays without a row.

A job that is repeated after a crash writes the same files again. But it may also be superseded, fail, or be
repeated with other networks or settings, which give its results other UIDs. So the transaction that ends a
job has the files removed which it announced, in any attempt, and of which there is no row.
"""

from collections.abc import Sequence

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from store.db.file_schema import announced_result_table as table
from store.db.schema import result_table
from store.rows import file_removals
from store.rows.file_removals import FileRemoval

BECAUSE = "never recorded"


def announce(session: Session, paths: Sequence[str], *, job_id: int) -> None:
    """Record files, by path relative to the data folder, before a job writes them."""
    rows = [{"path": path, "job_id": job_id} for path in paths]
    if rows:
        session.execute(insert(table).on_conflict_do_nothing(), rows)


def conclude(session: Session, *, job_id: int, study_uid: str) -> None:
    """Forget what a job has announced, now that it ends; what has no row is to be removed."""
    announced = table.c.job_id == job_id
    recorded = exists().where(result_table.c.path == table.c.path, result_table.c.study_uid == study_uid)
    unrecorded = session.scalars(select(table.c.path).where(announced, ~recorded)).all()
    removals = [
        FileRemoval(path=path, kind="result", study_uid=study_uid, because=BECAUSE) for path in unrecorded
    ]
    file_removals.add(session, removals)
    session.execute(delete(table).where(announced))
