"""The start of a receiver: what a crash left is found by what was under way, not by looking at every file."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support import builders
from support.node import NodeHarness

from dicom_node.receive.recovery import recover
from store.errors import StoreUnavailable
from store.rows import file_scans

STUDY = str(builders.STUDY_UID)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeHarness]:
    """Return a node that was started before, so that its folder was looked through."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # files are as old as they are
    with closing(NodeHarness(tmp_path, now=tomorrow)) as made:
        recover(made.runtime, made.ingest)
        yield made


class Killed(BaseException):
    """The process ends here."""


def killed_at(node: NodeHarness, monkeypatch: pytest.MonkeyPatch, function: str, **attributes: str) -> None:
    """Take an image in, and die when a function is called."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(function, die)
        with pytest.raises(Killed):
            node.receive(builders.image_2d(SOPInstanceUID="1.2.3.4", **attributes))


def incoming(node: NodeHarness) -> list[Path]:
    """Return what is in incoming/."""
    return list(node.files.incoming.iterdir())


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        ("store.files.file_store.FileStore.keep_instance", 0),  # not linked: never acknowledged
        ("store.rows.instances.register", 1),  # linked, not recorded
        ("store.files.file_store.FileStore.discard", 1),  # recorded
    ],
)
def test_killed_at_any_step(
    node: NodeHarness, monkeypatch: pytest.MonkeyPatch, function: str, rows: int
) -> None:
    """A linked file has its row after the next start, once; nothing is left in incoming/."""
    killed_at(node, monkeypatch, function)
    assert len(incoming(node)) == 1

    for _ in range(2):
        recover(node.runtime, node.ingest)

    assert incoming(node) == []
    assert len(node.instances(STUDY)) == len(list(node.files.instance_paths())) == rows
    assert node.events("instance.duplicate") == []


def test_killed_in_a_correction(node: NodeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The earlier version, whose row names the later one already, is moved aside by the next start."""
    node.receive(builders.image_2d(SOPInstanceUID="1.2.3.4"))
    mover = "store.files.file_store.FileStore.move_to_conflicts"
    killed_at(node, monkeypatch, mover, PatientID="corrected")
    assert len(list(node.files.instance_paths())) == 2

    recover(node.runtime, node.ingest)

    (row,) = node.instances(STUDY)
    assert list(node.files.instance_paths()) == [row.path]
    assert len(node.events("instance.conflict")) == 1
    assert incoming(node) == []


def test_a_row_that_could_not_be_written(node: NodeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender was refused and may never come again: the next start finds the file all the same."""

    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("locked")

    with monkeypatch.context() as patched:
        patched.setattr("store.rows.instances.register", fails)
        with pytest.raises(StoreUnavailable):
            node.receive(builders.image_2d())
    for path in incoming(node):
        if path.name == "one.part":
            path.unlink()  # as the receiver does after a refusal

    recover(node.runtime, node.ingest)

    assert len(node.instances(STUDY)) == 1
    assert incoming(node) == []


def test_the_whole_folder_is_looked_through_on_request_only(node: NodeHarness) -> None:
    """An ordinary start does not look at files; the one after a restore does, once."""
    node.receive(builders.image_2d())
    (row,) = node.instances(STUDY)
    stray = node.files.absolute("instances/1.2.9/1.2.9.1.dcm")  # where versions before put it
    builders.save(builders.image_2d(StudyInstanceUID="1.2.9", SOPInstanceUID="1.2.9.1"), stray)
    recover(node.runtime, node.ingest)
    assert node.instances("1.2.9") == []

    with node.database.transaction() as session:
        file_scans.request(session, "restored")
    recover(node.runtime, node.ingest)

    assert [each.path for each in node.instances("1.2.9")] == ["instances/1.2.9/1.2.9.1.dcm"]
    assert node.instances(STUDY) == [row]
    with node.database.read() as session:
        assert not file_scans.is_requested(session)


def test_a_link_to_something_else_is_only_removed(node: NodeHarness) -> None:
    """A linked file that is no DICOM file gets no row and stands in no one's way."""
    note = node.data_dir / "note.txt"
    note.write_text("a note")
    os.link(note, node.files.incoming / "note.part")

    recover(node.runtime, node.ingest)

    assert incoming(node) == []
    assert note.read_text() == "a note"
