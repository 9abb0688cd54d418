"""When an audit row cannot be written, the log says so and no image is lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support import builders
from support.databases import upgraded
from support.node import NodeHarness, receiver, wait_for
from support.sender import association, contexts_of, push

from dicom_node.audit import recorder
from dicom_node.audit.recorder import AuditRecorder
from dicom_node.process.clock import utc_now
from store.audit import audit_log
from store.audit.verification import verify
from store.db.database import Database

IMPATIENT_S = 0.2


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the database so that nobody else can write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeHarness]:
    """Run a receiver that does not wait long for the database."""
    database = Database(f"sqlite:///{tmp_path}/echonode.db", busy_timeout_s=IMPATIENT_S)
    with receiver(tmp_path, database=database) as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return an upgraded database that is not waited for."""
    with closing(upgraded(f"sqlite:///{tmp_path}/echonode.db", busy_timeout_s=0.01)) as made:
        yield made


def lost(database: Database) -> list[object]:
    """Return how many rows were lost, each time some were."""
    with database.read() as session:
        return [event.detail["rows"] for event in audit_log.events(session, event="audit.rows_lost")]


def test_locked_while_an_association_comes_and_goes(
    node: NodeHarness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sender hears 0xA700 and keeps its image; later it is taken; every row is written in the end."""
    image = builders.image_2d()
    with locked(tmp_path / "echonode.db"):
        assert push(node.port, image) == [0xA700]
        wait_for(lambda: "audit rows wait for the database" in capsys.readouterr().out, "a loud line")

    assert push(node.port, image) == [0x0000]
    node.wait_for_event("association.closed", 2)
    assert len(node.events("association.opened")) == 2
    assert len(node.events("instance.refused")) == 1
    assert len(node.events("instance.received")) == 1


def test_an_image_is_kept_though_its_association_is_not_on_record_yet(
    node: NodeHarness, tmp_path: Path
) -> None:
    """Rows of associations that wait for the database do not touch an object that comes when it is back."""
    image = builders.image_2d()
    with locked(tmp_path / "echonode.db"):
        opening = association(node.port, *contexts_of(image))
        opened = opening.__enter__()
        assert opened.is_established

    assert opened.send_c_store(image).Status == 0x0000
    opening.__exit__(None, None, None)
    node.wait_for_event("association.closed")
    assert len(node.events("association.opened")) == 1


def test_rows_that_were_lost_leave_a_row(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When too many wait, the number of those lost is on record as soon as the database is back."""
    monkeypatch.setattr(recorder, "MAX_WAITING", 3)
    writing = AuditRecorder(database, utc_now)
    with locked(tmp_path / "echonode.db"):
        for number in range(8):
            writing.record("association.rejected", "refused", detail={"number": number})
        assert capsys.readouterr().out.count("audit row lost") == 5
    writing.flush()
    writing.close()

    with database.read() as session:
        kept = audit_log.events(session, event="association.rejected")
        assert verify(session) == []
    assert [event.detail["number"] for event in kept] == [0, 1, 2]
    assert lost(database) == [5]
    writing.record("association.rejected", "refused", detail={})
    assert lost(database) == [5]


def test_rows_still_waiting_at_the_stop_are_written(tmp_path: Path) -> None:
    """A clean stop leaves nothing in memory."""
    database = Database(f"sqlite:///{tmp_path}/echonode.db", busy_timeout_s=IMPATIENT_S)
    with receiver(tmp_path, database=database) as node, locked(tmp_path / "echonode.db"):
        push(node.port, builders.image_2d())

    events = [event.event for event in node.events()]
    assert events.count("association.opened") == 1
    assert events[-1] == "node.stopped"


def test_what_is_lost_at_the_stop_is_said(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the database away to the end, the log says how many rows nobody will see."""
    writing = AuditRecorder(database, utc_now)
    with locked(tmp_path / "echonode.db"):
        writing.record("association.opened", detail={})
        writing.close()

    assert "audit rows lost at the end" in capsys.readouterr().out
