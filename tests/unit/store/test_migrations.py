"""Databases of earlier versions, with rows in them, brought to this one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import alembic.command
import pytest
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, event

from store.database import MIGRATIONS, Database

STUDY = "INSERT INTO studies VALUES ('1.2', 'DONE', 1, '2026', '2026')"
RESULT = (
    "INSERT INTO results VALUES ({id}, '{kind}', '1.2', 1, '1.2.3', '1.2.{id}', '1.2', 'p{id}', 'x', '2026')"
)
DELIVERY = "INSERT INTO deliveries VALUES ({id}, {id}, 'pacs', 'DELIVERED', 1, '2026', 0, NULL)"


def made_by(revision: str, path: Path) -> None:
    """Make the database that a version with this schema left behind, with results and their deliveries."""
    migrate(path, revision)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(STUDY)
        for number, kind in enumerate(("sr", "overlay"), start=1):
            connection.execute(RESULT.format(id=number, kind=kind))
            connection.execute(DELIVERY.format(id=number))


def migrate(path: Path, revision: str) -> None:
    """Bring a database up or down to a revision."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        upward = not MigrationContext.configure(connection).get_current_revision()
        (alembic.command.upgrade if upward else alembic.command.downgrade)(config, revision)
    engine.dispose()


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """Return a database of version 0001, upgraded as the node does it."""
    path = tmp_path / "echonode.db"
    made_by("0001", path)
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """Return what a query finds."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(query))


def test_reports_get_the_name_of_their_template(upgraded: Path) -> None:
    """What was an SR is the echo report it always was; everything else of it stays."""
    assert rows(upgraded, "SELECT id, kind, sop_instance_uid, path FROM results ORDER BY id") == [
        (1, "tid5200", "1.2.1", "p1"),
        (2, "overlay", "1.2.2", "p2"),
    ]


def test_deliveries_still_belong_to_their_results(upgraded: Path) -> None:
    """No delivery was lost with the table that was made anew, and none points at nothing."""
    assert rows(upgraded, "SELECT id, result_id, state, error FROM deliveries ORDER BY id") == [
        (1, 1, "DELIVERED", None),
        (2, 2, "DELIVERED", None),
    ]
    assert rows(upgraded, "PRAGMA foreign_key_check") == []
    assert rows(upgraded, "PRAGMA integrity_check") == [("ok",)]


def test_patience_counts_from_the_making_of_the_result(upgraded: Path) -> None:
    """A delivery of an earlier version has waited since its result was made, and was never asked for."""
    assert rows(upgraded, "SELECT DISTINCT waiting_since, asks FROM deliveries") == [("2026", 0)]


def test_there_and_back(upgraded: Path) -> None:
    """The former version gets its tables back: what is committed was delivered."""
    with closing(sqlite3.connect(upgraded)) as connection, connection:
        connection.execute(RESULT.format(id=3, kind="tid1500"))
        new = "INSERT INTO deliveries VALUES (3, 3, 'pacs', 'PENDING', 1, '2026', 0, NULL, '2026', 0)"
        connection.execute(new)
        connection.execute("UPDATE deliveries SET state = 'SENT' WHERE id = 3")

    migrate(upgraded, "0002")

    assert rows(upgraded, "SELECT id, state FROM deliveries ORDER BY id") == [
        (1, "DELIVERED"),
        (2, "DELIVERED"),
        (3, "DELIVERED"),
    ]
    assert rows(upgraded, "SELECT name FROM sqlite_master WHERE name LIKE '%legal_move'") == []


def test_new_kinds_are_allowed_and_others_are_not(upgraded: Path) -> None:
    """The check constraint is the new one."""
    with closing(sqlite3.connect(upgraded)) as connection:
        connection.execute(RESULT.format(id=3, kind="tid1500"))
        with pytest.raises(sqlite3.IntegrityError, match="result_kind"):
            connection.execute(RESULT.format(id=4, kind="sr"))
