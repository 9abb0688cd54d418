"""Seven ways to break a node in the middle of taking an image in, those in which mercure breaks its own.

mercure's: the file cannot be read, its tags cannot, the configuration of extra tags cannot, the
character set is unknown, the folder of the series cannot be made, the file cannot be put into it, the
tags cannot be written down. Ours: the sender is told or the image is kept, the log says why, nothing is
left over, and once the fault is gone the same image is taken.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import UltrasoundImageStorage
from support import builders
from support.node import NodeHarness, process_node, receiver, wait_for
from support.node_processes import echonode
from support.pacs import Pacs
from support.peers import needs_dcmtk
from support.pusher import image, storescu
from support.sender import association, contexts_of, encoded, store_raw

from store.db.database import Database
from store.db.states import InstanceState
from store.files.layout import spread

pytestmark = needs_dcmtk
Fault = Callable[[NodeHarness, FileDataset], AbstractContextManager[None]]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeHarness]:
    """Run a receiver that does not wait long for its database."""
    database = Database(f"sqlite:///{tmp_path}/data/echonode.db", busy_timeout_s=0.2)
    with receiver(tmp_path / "data", database=database) as running:
        yield running


def test_a_data_set_that_cannot_be_read(node: NodeHarness) -> None:
    """1: bytes that are no data set are refused for good, with a reason, and leave no file."""
    ds = image(1, 1)
    broken = b"\xff" * 200 + encoded(ds)
    with association(node.port, *contexts_of(ds)) as opened:
        status = store_raw(opened, broken, sop_class=UltrasoundImageStorage, sop_instance=ds.SOPInstanceUID)
        assert status == 0xC001
        assert opened.send_c_store(ds).Status == 0x0000

    (refusal,) = node.events("instance.refused")
    assert (refusal.sop_instance_uid, refusal.detail["status"]) == (ds.SOPInstanceUID, "0xC001")
    assert len(node.stored_files()) == 1


def test_tags_that_cannot_be_read(node: NodeHarness) -> None:
    """2: an image that does not say which study it belongs to is refused for good, with a reason."""
    ds = image(1, 1)
    uid = ds.SOPInstanceUID
    del ds.StudyInstanceUID
    with association(node.port, *contexts_of(ds)) as opened:
        status = store_raw(opened, encoded(ds), sop_class=UltrasoundImageStorage, sop_instance=uid)

    assert status == 0xA900
    (refusal,) = node.events("instance.refused")
    assert (refusal.sop_instance_uid, refusal.detail["status"]) == (uid, "0xA900")
    assert node.stored_files() == []


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    """3: a broken settings file stops the node before it takes anything, and says which line is wrong."""
    config = tmp_path / "echonode.toml"
    config.write_text('[node]\nport = "eleven"\n')

    done = echonode("serve", "--config", config)

    assert done.returncode == 2
    assert "node.port = 'eleven'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_character_set(tmp_path: Path) -> None:
    """4: an image in a character set that nobody knows is kept, measured and reported all the same."""
    ds = image(1, 1, SpecificCharacterSet="ISO_IR 100")
    path = builders.save(ds, tmp_path / "image.dcm")
    path.write_bytes(with_charset(path.read_bytes(), b"ISO_IR 999"))
    with Pacs() as pacs, closing(process_node(tmp_path, [pacs.destination])) as node:
        node.start_role("serve")
        node.wait_until_listening()

        assert storescu(node.port, [path]) == 1

        wait_for(lambda: len(pacs.uids) == 2, "both results are delivered")
        assert node.instance(ds).state is InstanceState.MEASURED


def with_charset(file: bytes, name: bytes) -> bytes:
    """Return the bytes of an explicit VR file with another name of its character set, of equal length."""
    start = file.index(b"\x08\x00\x05\x00CS\x0a\x00") + 8
    return file[:start] + name + file[start + 10 :]


@contextmanager
def folder_blocked(node: NodeHarness, ds: FileDataset) -> Iterator[None]:
    """5: a file stands where the folder of the study belongs."""
    blocker = node.data_dir / "instances" / spread(ds.StudyInstanceUID) / ds.StudyInstanceUID
    blocker.parent.mkdir(parents=True)
    blocker.touch()
    yield
    blocker.unlink()


@contextmanager
def place_taken(node: NodeHarness, ds: FileDataset) -> Iterator[None]:
    """6: a folder stands where the file of the image belongs."""
    blocker = node.data_dir / "instances" / ds.StudyInstanceUID / f"{ds.SOPInstanceUID}.dcm"
    blocker.mkdir(parents=True)
    yield
    blocker.rmdir()


@contextmanager
def database_locked(node: NodeHarness, ds: FileDataset) -> Iterator[None]:  # noqa: ARG001 - as the others
    """7: the row cannot be written, because somebody holds the lock."""
    with closing(sqlite3.connect(node.data_dir / "echonode.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


@pytest.mark.parametrize("fault", [folder_blocked, place_taken, database_locked])
def test_a_fault_of_the_disk_passes(node: NodeHarness, tmp_path: Path, fault: Fault) -> None:
    """5 to 7: out of resources while the fault lasts, taken as soon as it is gone, one file and one row."""
    ds = image(1, 1)
    path = builders.save(ds, tmp_path / "image.dcm")
    with fault(node, ds):
        assert storescu(node.port, [path]) == 0

    assert storescu(node.port, [path]) == 1

    (refusal,) = node.wait_for_event("instance.refused")
    assert (refusal.sop_instance_uid, refusal.detail["status"]) == (ds.SOPInstanceUID, "0xA700")
    assert [row.state for row in node.instances(ds.StudyInstanceUID)] == [InstanceState.RECEIVED]
    study, name = str(ds.StudyInstanceUID), f"{ds.SOPInstanceUID}.dcm"
    assert node.stored_files() == [f"instances/{spread(study)}/{study}/{name}"]
