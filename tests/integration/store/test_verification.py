"""Every way to tamper with the audit log is found and named, by someone with all rights on the file."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.audit import audit_log
from store.audit.chain import GENESIS, digest
from store.audit.triggers import TRIGGERS
from store.audit.verification import Checkpoint, verify
from store.db.database import Database

ROWS = 9
ROOT = Path(__file__).parents[3]
VERIFY = """
import json, sys, time
from store.db.database import Database
from store.audit.verification import verify
peak_kb = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
database = Database(sys.argv[1])
with database.read() as session:
    before_kb, began_s = peak_kb(), time.monotonic()
    assert verify(session) == []
    print(json.dumps({"grown_kb": peak_kb() - before_kb, "took_s": time.monotonic() - began_s}))
database.close()
"""
Admin = sqlite3.Connection


@pytest.fixture
def logged(database: Database, now: datetime) -> Database:
    """Return a database with nine events, a second apart."""
    fill(database, now, ROWS)
    return database


def fill(database: Database, now: datetime, number: int) -> None:
    """Record events a second apart."""
    with database.transaction() as session:
        for second in range(number):
            audit_log.record(
                session,
                "association.rejected",
                "refused",
                at=now + timedelta(seconds=second),
                peer_ae="VIVID",
                peer_ip="192.0.2.10",
                study_uid=f"1.{second}",
                sop_instance_uid="1.2.3",
                detail={"second": second},
            )


@contextmanager
def admin(tmp_path: Path) -> Iterator[Admin]:
    """Open the file, take the triggers away, and put them back at the end as if nothing had been."""
    with closing(sqlite3.connect(tmp_path / "echonode.db", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        for name in TRIGGERS:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for name, body in TRIGGERS.items():
            connection.execute(f"CREATE TRIGGER {name} {body}")


def found(database: Database, **how: Any) -> list[tuple[str, int]]:
    """Return kind and row of each flaw; each is a sentence that names the row."""
    with database.read() as session:
        flaws = verify(session, **how)
    assert all(str(flaw.row) in flaw.sentence for flaw in flaws if flaw.row)
    return [(flaw.kind, flaw.row) for flaw in flaws]


def checkpoint(database: Database, number: int) -> Checkpoint:
    """Return a checkpoint of a row as it is now."""
    with database.read() as session:
        (event,) = [each for each in audit_log.events(session) if each.id == number]
    return Checkpoint(at=event.at, id=event.id, hash=event.hash)


def row_of(connection: Admin, number: int) -> dict[str, Any]:
    """Return a row as it is stored."""
    return dict(connection.execute("SELECT * FROM audit_events WHERE id = ?", [number]).fetchone())


def put(connection: Admin, row: Mapping[str, Any], *, over: int | None = None) -> None:
    """Write a row, in place of another one if there is one."""
    if over is not None:
        connection.execute("DELETE FROM audit_events WHERE id = ?", [over])
    marks = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO audit_events ({', '.join(row)}) VALUES ({marks})", row)  # noqa: S608 - our columns


def hash_again(connection: Admin, first: int, last: int = ROWS) -> None:
    """Give rows the links and hashes they would have had."""
    prev_hash = row_of(connection, first - 1)["hash"] if first > 1 else GENESIS
    for number in range(first, last + 1):
        row = row_of(connection, number) | {"prev_hash": prev_hash}
        row["hash"] = prev_hash = digest(prev_hash, row)
        put(connection, row, over=number)


def swap(connection: Admin, one: int, other: int) -> None:
    """Exchange two rows, all but their ids."""
    first, second = row_of(connection, one), row_of(connection, other)
    put(connection, second | {"id": one}, over=one)
    put(connection, first | {"id": other}, over=other)


def close_gap(connection: Admin, after: int) -> None:
    """Renumber what follows a removed row."""
    for number in range(after + 1, ROWS + 1):
        connection.execute("UPDATE audit_events SET id = id - 1 WHERE id = ?", [number])
    connection.execute("UPDATE sqlite_sequence SET seq = seq - 1")


def insert_after(connection: Admin, number: int) -> None:
    """Make room for a forged row and put it there."""
    for each in range(ROWS, number, -1):
        connection.execute("UPDATE audit_events SET id = id + 1 WHERE id = ?", [each])
    forged = row_of(connection, number) | {"id": number + 1, "event": "node.started"}
    put(connection, forged)


def hash_one(connection: Admin, number: int) -> None:
    """Edit a row and make its own hash fit."""
    row = row_of(connection, number) | {"peer_ae": "SOMEONE"}
    put(connection, row | {"hash": digest(row["prev_hash"], row)}, over=number)


def cut(connection: Admin, after: int) -> None:
    """Remove the newest rows and their traces."""
    connection.execute("DELETE FROM audit_events WHERE id > ?", [after])
    connection.execute("UPDATE sqlite_sequence SET seq = ?", [after])


def sql(statement: str) -> Callable[[Admin], object]:
    """Return an attack that is one statement."""
    return lambda connection: connection.execute(statement)


ATTACKS: dict[str, tuple[Callable[[Admin], object], list[tuple[str, int]]]] = {
    "remove the first": (sql("DELETE FROM audit_events WHERE id = 1"), [("removed", 1)]),
    "remove one": (sql("DELETE FROM audit_events WHERE id = 4"), [("removed", 4)]),
    "remove several": (
        sql("DELETE FROM audit_events WHERE id IN (3, 4, 7)"),
        [("removed", 3), ("removed", 7)],
    ),
    "remove the last": (sql("DELETE FROM audit_events WHERE id = 9"), [("cut_off", 9)]),
    "remove all": (sql("DELETE FROM audit_events"), [("cut_off", 1)]),
    "forget the counter": (sql("DELETE FROM sqlite_sequence"), [("counter", 0)]),
    "swap neighbours": (lambda c: swap(c, 4, 5), [("moved", 4), ("moved", 5)]),
    "swap far rows": (lambda c: swap(c, 2, 8), [("moved", 2), ("moved", 8)]),
    "renumber one": (sql("UPDATE audit_events SET id = 99 WHERE id = 9"), [("removed", 9), ("moved", 99)]),
    "hash one again": (lambda c: hash_one(c, 4), [("unlinked", 5)]),
    "hash the first again": (lambda c: hash_one(c, 1), [("unlinked", 2)]),
    "remove one and close the gap": (
        lambda c: (c.execute("DELETE FROM audit_events WHERE id = 4"), close_gap(c, 4)),
        [("moved", number) for number in range(4, 9)],
    ),
    "insert one": (
        lambda c: insert_after(c, 6),
        [("inserted", 7), ("moved", 8), ("moved", 9), ("moved", 10)],
    ),
    "insert before the first": (
        lambda c: put(c, row_of(c, 1) | {"id": 0}),
        [("inserted", 0)],
    ),
    "hash a part again": (lambda c: (hash_one(c, 3), hash_again(c, 4, 6)), [("unlinked", 7)]),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_told_apart(logged: Database, tmp_path: Path, attack: str) -> None:
    """Removed, moved, inserted and replaced rows are named as what they are, and no other row is."""
    tamper, expected = ATTACKS[attack]
    with admin(tmp_path) as connection:
        tamper(connection)

    told = [each for each in found(logged) if each != ("counter", 0) or attack == "forget the counter"]
    assert told == expected


@pytest.mark.parametrize(
    "column",
    [
        "at",
        "event",
        "outcome",
        "peer_ae",
        "peer_ip",
        "study_uid",
        "sop_instance_uid",
        "detail",
        "prev_hash",
        "hash",
    ],
)
@pytest.mark.parametrize("row", [1, 5, 9])
def test_edits_are_named(logged: Database, tmp_path: Path, column: str, row: int) -> None:
    """A changed value of any column is found in its row, in the first and the last row too."""
    value = "success" if column == "outcome" else "0"
    with admin(tmp_path) as connection:
        connection.execute(f"UPDATE audit_events SET {column} = ? WHERE id = ?", [value, row])  # noqa: S608 - our columns

    assert found(logged) == [("edited", row)]


def test_untouched_is_sound(logged: Database) -> None:
    """An untouched log agrees with itself and with every checkpoint."""
    assert found(logged, checkpoints=[checkpoint(logged, number) for number in (1, 5, 9)]) == []


def test_only_a_checkpoint_shows_a_log_hashed_anew(logged: Database, tmp_path: Path) -> None:
    """Who hashes everything from an edit on leaves a sound chain, and contradicts what is kept elsewhere."""
    kept = [checkpoint(logged, number) for number in (2, 7, 9)]
    with admin(tmp_path) as connection:
        hash_one(connection, 4)
        hash_again(connection, 5)

    assert found(logged) == []
    assert found(logged, checkpoints=kept) == [("checkpoint", 7)]
    with logged.read() as session:
        (flaw,) = verify(session, checkpoints=kept)
    assert flaw.sentence.startswith("rows 3 to 7 were rewritten")


def test_only_a_checkpoint_shows_a_tail_cut_off_with_its_counter(logged: Database, tmp_path: Path) -> None:
    """Truncation that resets the counter too contradicts what is kept elsewhere."""
    kept = [checkpoint(logged, number) for number in (2, 8)]
    with admin(tmp_path) as connection:
        cut(connection, after=5)

    assert found(logged) == []
    assert found(logged, checkpoints=kept) == [("checkpoint", 6)]


@pytest.mark.parametrize("name", TRIGGERS)
def test_missing_triggers_are_named(logged: Database, tmp_path: Path, name: str) -> None:
    """A trigger that was taken away, or made harmless, is a flaw."""
    with closing(sqlite3.connect(tmp_path / "echonode.db")) as connection:
        connection.execute(f"DROP TRIGGER {name}")
        assert found(logged) == [("trigger", 0)]
        connection.execute(
            f"CREATE TRIGGER {name} {TRIGGERS[name].replace('BEGIN', 'BEGIN SELECT 0 WHERE 0;')}"
        )

    assert found(logged) == [("trigger", 0)]


def test_findings_are_bounded(database: Database, now: datetime, tmp_path: Path) -> None:
    """A log changed in every row is told in bounded length, and the rest counted."""
    fill(database, now, 300)
    with admin(tmp_path) as connection:
        connection.execute("UPDATE audit_events SET peer_ae = 'X'")
    with database.read() as session:
        flaws = verify(session)

    assert len(flaws) == 201
    assert flaws[-1].sentence == "100 more rows do not fit"


def lengthen(tmp_path: Path, number: int) -> None:
    """Append sound rows, faster than by the program's own transactions."""
    with closing(sqlite3.connect(tmp_path / "echonode.db")) as connection:
        connection.row_factory = sqlite3.Row
        row = row_of(connection, ROWS)
        rows = [row := following(row) for _ in range(number)]
        marks = ", ".join(f":{name}" for name in row)
        connection.executemany(f"INSERT INTO audit_events ({', '.join(row)}) VALUES ({marks})", rows)  # noqa: S608 - our columns
        connection.commit()


def following(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same event once more, as the next row."""
    after = {**row, "id": row["id"] + 1, "prev_hash": row["hash"]}
    return {**after, "hash": digest(row["hash"], after)}


@pytest.mark.usefixtures("logged")
def test_memory_is_bounded(url: str, tmp_path: Path) -> None:
    """A long log is verified row by row: memory does not grow with it."""
    lengthen(tmp_path, 20_000)
    command = [sys.executable, "-c", VERIFY, url]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert json.loads(said)["grown_kb"] < 10_000
