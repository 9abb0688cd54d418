"""What watches write transactions in all tests sees what it is to see."""

import os
import socket
from pathlib import Path

import pytest
from support import write_lock_watch

from store.db.write_lock import holding
from store.files.fsync import publish, sync


def test_what_the_program_does_is_found(tmp_path: Path) -> None:
    """A file written, synced and named inside a transaction is found call by call; outside, nothing is."""
    publish(b"", tmp_path / "a", mode=0o600)
    assert write_lock_watch.take() == []
    with holding(tmp_path / "database"):
        publish(b"", tmp_path / "b", mode=0o600)

    found = {line.split("(")[0].split(" ")[0] for line in write_lock_watch.take()}
    assert {"open", "os.fsync", "os.link", "os.remove"} <= found


def test_what_a_test_does_is_not(tmp_path: Path) -> None:
    """A test may hold a lock and wait, to see what others do meanwhile."""
    with holding(tmp_path / "database"):
        (tmp_path / "a").touch()
        socket.getaddrinfo("localhost", None)

    assert write_lock_watch.take() == []


def test_another_thread_or_database_is_not_concerned(tmp_path: Path) -> None:
    """The mark is the thread's, and gone after the block, an exception included."""
    with pytest.raises(KeyError), holding(tmp_path / "database"):
        raise KeyError
    sync(tmp_path)

    assert write_lock_watch.take() == []
    assert os.fsync.__name__ == "watched"
