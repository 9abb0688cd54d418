"""Copies of the database: whole or not at all, made while others write, put back over a damaged one."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from store import backup
from store.audit.verification import verify
from store.db.database import Database
from store.errors import StoreError, StoreUnavailable
from store.rows import instances

STUDY = "1.2.826.1"


def damage(path: Path) -> None:
    """Overwrite the middle of a file, page headers and all."""
    middle = path.stat().st_size // 2 // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(b"\xde\xad\xbe\xef" * 2048)


def rows(path: Path) -> int:
    """Return how many instances a database has."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM instances").fetchone()[0])


def test_a_copy_is_one_file_that_holds_everything(
    database: Database, receive: Callable[..., bool], tmp_path: Path
) -> None:
    """What was committed before is in it, the audit chain too; mode 0640, no draft and no log beside it."""
    for number in range(5):
        receive(number)
    target = tmp_path / "copies" / "echonode.db"
    target.parent.mkdir()

    assert backup.backup(database.path, target) == target.stat().st_size
    assert [path.name for path in target.parent.iterdir()] == ["echonode.db"]
    assert target.stat().st_mode & 0o777 == 0o640
    assert rows(target) == 5
    with closing(Database(f"sqlite:///{target}")) as copy, copy.read() as session:
        assert verify(session) == []


def test_writers_go_on_meanwhile(database: Database, receive: Callable[..., bool], tmp_path: Path) -> None:
    """Copies made while another thread writes are consistent, and every write succeeds."""
    written: list[int] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            assert receive(len(written))
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(5):
        before = len(written)
        backup.backup(database.path, tmp_path / "copy.db")
        assert before <= rows(tmp_path / "copy.db") <= len(written) + 1, number
    stop.set()
    writer.join()

    assert rows(database.path) == len(written)


def test_a_former_copy_survives_one_that_fails(database: Database, tmp_path: Path) -> None:
    """A copy that cannot be finished leaves the one before as it is, and no draft."""
    target = tmp_path / "copy.db"
    backup.backup(database.path, target)
    kept = target.read_bytes()
    database.close()
    damage(database.path)
    with pytest.raises(StoreError):
        backup.backup(database.path, target)
    with pytest.raises(StoreUnavailable):
        backup.backup(tmp_path / "nothing.db", target)

    assert target.read_bytes() == kept
    assert not (tmp_path / ".copy.db.part").exists()


def test_damage_is_said_with_the_way_out(
    database: Database, receive: Callable[..., bool], tmp_path: Path
) -> None:
    """A database overwritten in the middle is found, whatever page it was, and restored from its copy."""
    for number in range(100):
        receive(number)
    backup.backup(database.path, tmp_path / "copy.db")
    database.close()
    damage(database.path)
    damaged = closing(Database(f"sqlite:///{database.path}"))
    with damaged as found, pytest.raises(StoreUnavailable, match=r"is damaged .* `echonode restore BACKUP`"):
        found.check()


def test_restore(database: Database, receive: Callable[..., bool], tmp_path: Path, now: datetime) -> None:
    """The copy takes the place of the database; the former one is kept aside with its log."""
    receive(1)
    backup.backup(database.path, tmp_path / "copy.db")
    receive(2)
    assert Path(f"{database.path}-wal").exists()

    aside = backup.restore(tmp_path / "copy.db", database.path, now=now)

    assert aside is not None
    assert rows(aside) == 2
    with database.read() as session:
        assert [each.sop_instance_uid for each in instances.of_study(session, STUDY)] == [f"{STUDY}.1"]


@pytest.mark.parametrize("cut", [(os, "link"), (Path, "rename"), (Path, "replace")])
def test_a_restore_that_broke_off_is_done_again(
    database: Database,
    receive: Callable[..., bool],
    now: datetime,
    cut: tuple[Any, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it broke off, calling it once more puts the copy in place and loses no former file."""
    copy = database.path.with_name("copy.db")
    receive(1)
    backup.backup(database.path, copy)
    receive(2)

    def broken(*_: object) -> None:
        raise OSError("broke off")

    monkeypatch.setattr(*cut, broken)
    with pytest.raises(StoreUnavailable):
        backup.restore(copy, database.path, now=now)
    monkeypatch.undo()
    later = now.replace(year=now.year + 1)
    backup.restore(copy, database.path, now=later)

    assert rows(database.path) == 1


def test_only_a_sound_copy_is_put_back(database: Database, tmp_path: Path, now: datetime) -> None:
    """Text, another program's database and a damaged copy are refused; nothing is touched."""
    before = database.path.read_bytes()
    other, garbage, damaged = tmp_path / "other.db", tmp_path / "garbage", tmp_path / "damaged.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE x (y)")
    garbage.write_text("no database " * 1000)
    backup.backup(database.path, damaged)
    damage(damaged)
    for source in (other, garbage, damaged):
        with pytest.raises(StoreError, match=source.name):
            backup.restore(source, database.path, now=now)

    assert database.path.read_bytes() == before


def test_a_check_ends_in_time(database: Database) -> None:
    """A check with no time left says that it has not seen everything, and without a limit that it has."""
    assert database.check()
    with closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute("CREATE TABLE big (x)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
            "INSERT INTO big SELECT hex(randomblob(200)) FROM n"
        )
    assert not database.check(limit_s=0)
    assert database.check()
