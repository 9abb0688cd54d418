"""Queries that several kinds of rows share."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, literal, select
from sqlalchemy.orm import Session

from store.db.schema import row_count_table
from store.errors import NotFound


def only_row(session: Session, query: Select[Any], name: str) -> RowMapping:
    """Return the row that a query finds.

    Raises:
        NotFound: there is none; the message says "no `name`".
    """
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no {name}")
    return row


def in_state(column: ColumnElement[Any], state: StrEnum) -> ColumnElement[bool]:
    """Compare a column with a state as a literal: with a parameter SQLite uses no partial index."""
    return column == literal(state, column.type, literal_execute=True)


def count_by_state(session: Session, what: str, states: type[StrEnum]) -> dict[str, int]:
    """Return the number of rows of a kind in each of `states`, 0 included, without counting them."""
    query = select(row_count_table.c.state, row_count_table.c.number).where(row_count_table.c.what == what)
    found = {row.state: row.number for row in session.execute(query)}
    return {each.value: found.get(each.value, 0) for each in states}
