"""Checkpoints: signed, kept anywhere, and never in the way of anything."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.databases import upgraded

from dicom_node.audit import checkpoints
from dicom_node.audit.checkpoints import (
    Checkpointer,
    CheckpointFailed,
    append,
    checkpoint_file,
    last_checkpoint,
)
from dicom_node.audit.signing_key import BadKey, signing_key
from dicom_node.audit.verify import verify_log, write_checkpoint
from dicom_node.errors import NodeError
from dicom_node.settings import Settings
from store.audit import audit_log
from store.audit.chain import digest
from store.audit.triggers import TRIGGERS
from store.db.database import Database

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of a node whose checkpoints go into a folder of their own."""
    return settings_of(tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return a database with three events."""
    made = upgraded(settings.store_url)
    note(made, 3)
    yield made
    made.close()


def settings_of(tmp_path: Path, **options: float) -> Settings:
    """Return settings; `options` are those of the audit table."""
    file = tmp_path / "elsewhere" / "checkpoints.jsonl"
    file.parent.mkdir(exist_ok=True)
    (tmp_path / "data").mkdir(exist_ok=True)
    table = {"checkpoint_file": str(file), **options}
    return Settings(node={"data_dir": tmp_path / "data"}, audit=table)  # type: ignore[arg-type]  # parsed by pydantic


def note(database: Database, number: int = 1) -> None:
    """Record events."""
    for _ in range(number):
        with database.transaction() as session:
            audit_log.record(session, "node.started", at=NOW)


def checkpoint_rows(database: Database) -> list[str]:
    """Return the outcomes of the checkpoints that were recorded."""
    with database.read() as session:
        return [event.outcome for event in audit_log.events(session, event="audit.checkpoint")]


def rewrite(settings: Settings, first: int) -> None:
    """Forge a row and hash everything from there on again, as someone with all rights on the file."""
    path = settings.node.data_dir / "echonode.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        for name in TRIGGERS:
            connection.execute(f"DROP TRIGGER {name}")
        link = ""
        for each in connection.execute(
            "SELECT * FROM audit_events WHERE id >= ? ORDER BY id", [first]
        ).fetchall():
            row = {**dict(each), "peer_ae": "FORGED", "prev_hash": link or each["prev_hash"]}
            row["hash"] = link = digest(row["prev_hash"], row)
            values = [row["peer_ae"], row["prev_hash"], row["hash"], row["id"]]
            connection.execute("UPDATE audit_events SET peer_ae=?, prev_hash=?, hash=? WHERE id=?", values)
        for name, body in TRIGGERS.items():
            connection.execute(f"CREATE TRIGGER {name} {body}")


def test_the_key_is_private(settings: Settings) -> None:
    """It is made once, for the owner alone; the public half may be read by anybody."""
    data_dir = settings.node.data_dir

    first, again = signing_key(data_dir), signing_key(data_dir)

    assert first.private_bytes_raw() == again.private_bytes_raw()
    assert (data_dir / "audit.key").stat().st_mode & 0o777 == 0o600
    assert (data_dir / "audit.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----")
    assert sorted(path.name for path in data_dir.iterdir()) == ["audit.key", "audit.pub"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(settings: Settings, mode: int) -> None:
    """What others could have signed proves nothing."""
    signing_key(settings.node.data_dir)
    (settings.node.data_dir / "audit.key").chmod(mode)

    with pytest.raises(BadKey, match="can be read by others"):
        signing_key(settings.node.data_dir)


@pytest.mark.usefixtures("database")
def test_the_line_says_where_the_log_stands(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints what it appends: row, hash, installation, signature."""
    assert write_checkpoint(settings) == 0

    printed = capsys.readouterr().out
    line = json.loads(printed)
    assert checkpoint_file(settings).read_text() == printed
    assert (line["id"], line["rows"]) == (3, 3)
    assert line.keys() == {"at", "id", "hash", "rows", "installation", "signature"}


def test_a_sound_log_agrees(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checkpoints of a log that only grew are in order."""
    assert write_checkpoint(settings) == 0
    note(database)
    assert write_checkpoint(settings) == 0

    assert verify_log(settings) == 0
    assert "sound, compared with 2 checkpoints" in capsys.readouterr().out


def test_a_log_hashed_anew_is_found(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forger who rewrites all hashes contradicts the checkpoint; without it the log looks sound."""
    write_checkpoint(settings)
    note(database)
    rewrite(settings, first=2)

    assert verify_log(settings) == 1
    assert "rows 1 to 3 were rewritten" in capsys.readouterr().out
    checkpoint_file(settings).unlink()
    assert verify_log(settings) == 0


@pytest.mark.usefixtures("database")
def test_a_forger_with_a_new_key_is_found(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who replaces log, checkpoints and key satisfies this machine, but not who kept the public key."""
    write_checkpoint(settings)
    kept_key, kept_file = tmp_path / "kept.pub", tmp_path / "kept.jsonl"
    kept_key.write_bytes((settings.node.data_dir / "audit.pub").read_bytes())
    kept_file.write_text(checkpoint_file(settings).read_text())
    rewrite(settings, first=1)
    for path in (checkpoint_file(settings), *settings.node.data_dir.glob("audit.[kp]*")):
        path.unlink()
    write_checkpoint(settings)
    capsys.readouterr()

    assert verify_log(settings) == 0
    assert verify_log(settings, public_key=kept_key) == 1
    said = capsys.readouterr().out
    assert "it was replaced" in said
    assert "1 of 1 lines" in said
    assert verify_log(settings, file=kept_file, public_key=kept_key) == 1
    assert "rewritten" in capsys.readouterr().out


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("field", ["at", "id", "hash", "rows", "installation", "signature"])
def test_an_edited_checkpoint_is_found(
    settings: Settings, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No field of the line can be changed."""
    write_checkpoint(settings)
    line = json.loads(checkpoint_file(settings).read_text())
    edited = {**line, field: line[field] + 1 if isinstance(line[field], int) else f"1{line[field]}"}
    checkpoint_file(settings).write_text(json.dumps(edited))

    assert verify_log(settings) == 1
    assert "1 of 1 lines of checkpoints.jsonl" in capsys.readouterr().out


def test_a_mount_that_is_gone_is_loud_and_tried_again(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """The failure is on record once, loud at each try, and over when the file can be written."""
    folder = checkpoint_file(settings).parent
    folder.rmdir()
    checkpointer = Checkpointer(settings=settings, database=database)

    for minute in range(3):
        with pytest.raises(CheckpointFailed):
            checkpointer.write(NOW + timedelta(minutes=minute))
    assert checkpoint_rows(database) == ["failure"]
    assert capsys.readouterr().out.count("audit.checkpoint_failed") == 3
    folder.mkdir()
    assert checkpointer.write(NOW + timedelta(minutes=3))
    assert checkpoint_rows(database) == ["failure", "success"]


def test_a_file_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """A write that never returns (here: a pipe that nobody reads) is given up after its limit."""
    os.mkfifo(tmp_path / "hangs")

    with pytest.raises(CheckpointFailed, match="no answer within"):
        append(tmp_path / "hangs", "{}", limit_s=0.1)
    with pytest.raises(CheckpointFailed, match="still no answer"):  # and not one more thread per try
        append(tmp_path / "hangs", "{}", limit_s=0.1)
    with (tmp_path / "hangs").open("rb") as reader:  # let the thread go
        assert reader.read() == b"{}\n"


def test_an_exposed_key_stops_nothing(settings: Settings, database: Database) -> None:
    """Without a key to sign with there is a failure on record, and the node goes on."""
    signing_key(settings.node.data_dir)
    (settings.node.data_dir / "audit.key").chmod(0o644)

    checkpointer = Checkpointer(settings=settings, database=database)
    with pytest.raises(NodeError):
        checkpointer.write(NOW)
    with last_checkpoint(checkpointer, lambda: NOW):
        pass
    assert checkpoint_rows(database) == ["failure"]


def test_no_rows_no_checkpoint(tmp_path: Path) -> None:
    """An empty log has nothing to be signed."""
    with closing(upgraded(f"sqlite:///{tmp_path}/echonode.db")) as database:
        assert checkpoints.take(database, tmp_path, now=NOW) is None
