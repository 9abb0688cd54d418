"""A really full disk, a read-only one, and a process killed between file and row."""

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from store.audit.verification import verify
from store.db.database import Database
from store.files.file_store import FileStore
from store.files.layout import spread
from store.rows import instances

ROOT = Path(__file__).parents[3]
STUDY = "1.2.826.1"

PREAMBLE = """
import errno, json, os, subprocess, sys
from datetime import UTC, datetime
from pathlib import Path
from store.audit import audit_log
from store.rows import instances
from store.db.database import Database
from store.errors import StoreUnavailable
from store.files.file_store import FileStore
from store.rows.instances import NewInstance
from store.db.states import InstanceState
from store.audit.verification import verify

root = Path(sys.argv[1])
source = Path(sys.argv[2]).read_bytes()
now = datetime.now(UTC)

def arrive(files, name="arriving", size=0):
    path = files.incoming / name
    path.write_bytes(source + bytes(size))
    return path

def keep(files, number):
    received = arrive(files, f"arriving {number}")
    return files.keep_instance(received, study_uid="1.2.826.1", sop_instance_uid=f"1.2.826.1.{number}")

def row(kept, number):
    return NewInstance(
        sop_instance_uid=f"1.2.826.1.{number}", sop_class_uid="1.2", study_uid="1.2.826.1", series_uid="1.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1", path=kept.path, sha256=kept.sha256,
        size_bytes=kept.size_bytes, peer_ae="X", peer_ip="192.0.2.1", state=InstanceState.RECEIVED,
    )

def unavailable(call):
    try:
        call()
    except StoreUnavailable as error:
        return str(error)
    return None
"""

FULL = """
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", root], check=True)
files = FileStore(root / "data")
database = Database(f"sqlite:///{root}/data/echonode.db")
database.upgrade()

def note():
    with database.transaction() as session:
        audit_log.record(session, "node.started", at=now, detail={"filler": "x" * 20000})

def result(data):
    return files.keep_result(data, study_uid="1.4", sop_instance_uid="1.4.1")

def fill():
    with open(root / "ballast", "wb", 0) as ballast:
        try:
            while ballast.write(bytes(4096)) == 4096:
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC, error

keep(files, 1)
note()
fill()
said = {
    "result": unavailable(lambda: result(source + bytes(100000))),
    "row": next((text for _ in range(100) if (text := unavailable(note))), None),
    "half": [str(path) for path in root.rglob("*.part")],
}
(root / "ballast").unlink()
note()
with database.read() as session:
    said["wrong"] = verify(session)
said["after"] = result(source).outcome
said["kept"] = list(files.instance_paths())
database.close()
print(json.dumps(said))
"""

READ_ONLY = """
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", root], check=True)
files = FileStore(root / "data")
database = Database(f"sqlite:///{root}/data/echonode.db")
database.upgrade()
received = arrive(files)

def keep_received():
    return files.keep_instance(received, study_uid="1.2.826.1", sop_instance_uid="1.2.826.1.1")

def note():
    with database.transaction() as session:
        audit_log.record(session, "node.started", at=now)

database.close()
subprocess.run(["mount", "-o", "remount,ro", root], check=True)
said = {"file": unavailable(keep_received), "row": unavailable(note), "still": received.exists()}
database.close()
subprocess.run(["mount", "-o", "remount,rw", root], check=True)
note()
said["after"] = keep_received().outcome
database.close()
print(json.dumps(said))
"""

FILE_SIZE_LIMIT = """
import resource
files = FileStore(root / "data")
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
call = lambda: files.keep_result(source + bytes(100000), study_uid="1.4", sop_instance_uid="1.4.1")
print(json.dumps({"result": unavailable(call), "left": [str(p) for p in root.rglob("*") if p.is_file()]}))
"""

KILLED = """
files = FileStore(root)
database = Database(f"sqlite:///{root}/echonode.db")
database.upgrade()
for number in range(1, 4):
    kept = keep(files, number)
    with database.transaction() as session:
        instances.register(session, row(kept, number), now=now)
        if number == 3:
            arrive(files, "half")
            os.kill(os.getpid(), 9)
    files.discard(files.incoming / f"arriving {number}", kept)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the path of a small DICOM file."""
    ds = Dataset()
    ds.ImageComments = "a"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(tmp_path / "source.dcm", enforce_file_format=True)
    return tmp_path / "source.dcm"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return the folder on which a child mounts a volume of its own."""
    path = tmp_path / "volume"
    path.mkdir()
    return path


def _child(code: str, *arguments: Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-W", "error", "-c", PREAMBLE + code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def _said(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert process.returncode == 0, process.stderr
    said: dict[str, Any] = json.loads(process.stdout)
    return said


@pytest.fixture(scope="session")
def own_mounts() -> tuple[str, ...]:
    """Return the command that gives a child its own mounts, which vanish with it."""
    prefix = ("unshare", "--map-root-user", "--mount")
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    mount = [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a tmpfs")
    return prefix


def test_full_disk(own_mounts: tuple[str, ...], source: Path, volume: Path) -> None:
    """On a full disk files and rows are refused, what was kept stays, and space cures it at once."""
    said = _said(_child(FULL, volume, source, prefix=own_mounts))

    assert "No space left" in said["result"]
    assert "full" in said["row"]
    assert [] == said["half"] == said["wrong"]
    assert said["after"] == "new"
    assert said["kept"] == [f"instances/{spread(STUDY)}/{STUDY}/{STUDY}.1.dcm"]


def test_read_only_disk(own_mounts: tuple[str, ...], source: Path, volume: Path) -> None:
    """On a read-only disk files and rows are refused, the received file stays, and a remount cures it."""
    said = _said(_child(READ_ONLY, volume, source, prefix=own_mounts))

    assert "Read-only" in said["file"]
    assert said["row"]
    assert said["still"]
    assert said["after"] == "new"


def test_file_size_limit(source: Path, volume: Path) -> None:
    """A write that the system cuts short leaves nothing behind."""
    said = _said(_child(FILE_SIZE_LIMIT, volume, source))

    assert "File too large" in said["result"]
    assert said["left"] == []


def test_killed_between_file_and_row(source: Path, volume: Path) -> None:
    """After a kill -9 between file and row the file is there to be adopted; the rest is as it was."""
    assert _child(KILLED, volume, source).returncode == -signal.SIGKILL
    files, database = FileStore(volume), Database(f"sqlite:///{volume}/echonode.db")
    database.upgrade()
    with database.read() as session:
        paths = list(files.instance_paths())
        orphans = set(paths) - instances.known_paths(session, paths)
        rows = [found.sop_instance_uid for found in instances.of_study(session, STUDY)]
        wrong = verify(session)
    database.close()

    (left,) = files.linked_leftovers()
    assert orphans == {f"instances/{spread(STUDY)}/{STUDY}/{STUDY}.3.dcm"}
    assert left.samefile(files.absolute(*orphans))
    assert rows == [f"{STUDY}.1", f"{STUDY}.2"]
    assert wrong == []
    assert files.clear_incoming(now=datetime.now(UTC)) == 1
