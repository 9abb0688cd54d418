"""The tables of transitions, written out once more by hand, and the database that enforces them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support.databases import template

from store.db.states import (
    FIRST_STATES,
    LEGAL_TRANSITIONS,
    DeliveryState,
    InstanceState,
    JobState,
    ReportState,
    RequestState,
    StudyState,
    check_transition,
)
from store.errors import IllegalTransition

LEGAL = {
    InstanceState: """RECEIVED>MEASURED RECEIVED>NOT_MEASURED MEASURED>MEASURED MEASURED>NOT_MEASURED
        NOT_MEASURED>MEASURED NOT_MEASURED>NOT_MEASURED""",
    StudyState: """RECEIVING>READY READY>PROCESSING READY>RECEIVING PROCESSING>DONE PROCESSING>FAILED
        PROCESSING>READY PROCESSING>RECEIVING DONE>READY DONE>RECEIVING FAILED>READY FAILED>RECEIVING""",
    JobState: "QUEUED>RUNNING RUNNING>DONE RUNNING>DEAD RUNNING>QUEUED",
    DeliveryState: """PENDING>DELIVERED PENDING>SENT PENDING>DEAD SENT>COMMITTED SENT>PENDING SENT>DEAD
        DEAD>PENDING""",
    RequestState: "ASKED>ANSWERED",
    ReportState: "PENDING>REPORTED PENDING>DEAD REPORTED>PENDING DEAD>PENDING",
}
TRANSITIONS = [
    (old, new, f"{old}>{new}" in table.split())
    for states, table in LEGAL.items()
    for old, new in product(states, states)
]


@pytest.mark.parametrize(("old", "new", "legal"), TRANSITIONS)
def test_transitions(old: Any, new: Any, legal: bool) -> None:
    """Every legal transition is allowed and every other one refused."""
    if legal:
        check_transition(old, new)
    else:
        with pytest.raises(IllegalTransition, match=f"{old} -> {new}"):
            check_transition(old, new)


def test_every_state_has_its_transitions() -> None:
    """No state is missing from the table of its enum."""
    assert {states: set(states) for states in LEGAL} == {k: set(v) for k, v in LEGAL_TRANSITIONS.items()}


AT, ONE = "2026", "1"
ROWS: dict[type[StrEnum], tuple[str, dict[str, object]]] = {
    InstanceState: (
        "instances",
        dict.fromkeys(("sop_instance_uid", "sop_class_uid", "study_uid", "series_uid"), ONE)
        | {"transfer_syntax_uid": ONE, "path": "p", "sha256": "x", "size_bytes": 1, "detail": "{}"}
        | {"received_at": AT},
    ),
    StudyState: (
        "studies",
        {"study_uid": ONE, "revision": 1, "first_received_at": AT, "last_received_at": AT},
    ),
    JobState: (
        "jobs",
        {"study_uid": ONE, "revision": 1, "attempts": 0, "not_before": AT, "created_at": AT},
    ),
    DeliveryState: (
        "deliveries",
        {"result_id": 1, "destination": "pacs", "attempts": 0, "next_attempt_at": AT}
        | {"waiting_since": AT, "asks": 0},
    ),
    RequestState: (
        "commitment_requests",
        {"transaction_uid": ONE, "destination": "pacs", "asked_at": AT},
    ),
    ReportState: (
        "commitment_reports",
        {"transaction_uid": ONE, "peer_ae": "A", "peer_ip": "i", "items": "[]", "attempts": 0}
        | {"next_attempt_at": AT, "created_at": AT},
    ),
}


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a connection to an empty database of this version, past all code of the node."""
    path = tmp_path / "raw.db"
    path.write_bytes(template().read_bytes())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def insert(raw: sqlite3.Connection, state: StrEnum) -> str:
    """Write a row in a state; return its table."""
    table, columns = ROWS[type(state)]
    values = {**columns, "state": state.value}
    marks = ", ".join(f":{name}" for name in values)
    raw.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", values)  # noqa: S608 - names from above
    return table


def insert_unchecked(raw: sqlite3.Connection, state: StrEnum) -> str:
    """Write a row in a state that it may not begin in: while the triggers are away."""
    triggers = list(raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    for name, _ in triggers:
        raw.execute(f"DROP TRIGGER {name}")
    table = insert(raw, state)
    for _, sql in triggers:
        raw.execute(sql)
    return table


def update(raw: sqlite3.Connection, table: str, column: str, value: object) -> None:
    """Write one column of all rows."""
    raw.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608 - names from above


@pytest.mark.parametrize(("old", "new", "legal"), TRANSITIONS)
def test_the_database_enforces_transitions(raw: sqlite3.Connection, old: Any, new: Any, legal: bool) -> None:
    """SQL from whatever program may change a state where the code may, and nowhere else."""
    table = insert_unchecked(raw, old)

    if legal:
        update(raw, table, "state", new.value)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="may not move to this state"):
            update(raw, table, "state", new.value)

    found = raw.execute(f"SELECT state FROM {table}").fetchall()  # noqa: S608 - names from above
    assert [((new if legal else old).value,)] == found


@pytest.mark.parametrize("state", [state for states in LEGAL for state in states])
def test_the_database_enforces_beginnings(raw: sqlite3.Connection, state: Any) -> None:
    """A row begins in a first state or not at all."""
    if state in FIRST_STATES[type(state)]:
        insert(raw, state)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="does not begin in this state"):
            insert(raw, state)


@pytest.mark.parametrize("state", [state for states in LEGAL for state in states])
def test_other_columns_may_change_in_every_state(raw: sqlite3.Connection, state: Any) -> None:
    """An update that does not name the state is no transition."""
    table = insert_unchecked(raw, state)
    column, value = next(iter(ROWS[type(state)][1].items()))

    update(raw, table, column, value)
