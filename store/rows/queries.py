"""Queries that several kinds of rows share."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, func, select
from sqlalchemy.orm import Session

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


def count_by_state(session: Session, state: ColumnElement[Any], states: type[StrEnum]) -> dict[str, int]:
    """Return the number of rows in each of `states`, 0 included, by the column `state` of their table."""
    query = select(state, func.count().label("number")).group_by(state)
    found = {row[0]: row.number for row in session.execute(query)}
    return {each.value: found.get(each, 0) for each in states}
