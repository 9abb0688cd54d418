"""This machine fails: disk full or read-only, database locked or damaged. Nothing acknowledged is lost."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from support import builders
from support.node import NodeHarness, receiver, receiver_process, runtime, settings_for
from support.node_processes import echonode

from dicom_node.roles.receiver import Receiver
from dicom_node.settings.sections import StoreSettings
from store.db.database import Database
from store.errors import StoreUnavailable

MEGABYTE = 2**20
STUDY = generate_uid(entropy_srcs=["local faults"])
REFUSAL = r"is damaged .*; stop the node and run `echonode restore BACKUP`"
HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
"""


class Disk:
    """A disk of its own that can be filled and made read-only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def leave(self, free_bytes: int) -> None:
        """Fill it but for so much."""
        self.empty()
        room = os.statvfs(self.path)
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_bsize - free_bytes)

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def remount(self, how: str) -> None:
        """Make it `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{how}", self.path], check=True)


@pytest.fixture
def disk(small_disk: Callable[[int], Path]) -> Disk:
    """Mount a disk of 48 MB."""
    return Disk(small_disk(48))


class Scanner:
    """DCMTK's storescu, and what was acknowledged to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.acknowledged: list[FileDataset] = []

    def send(self, *images: FileDataset) -> list[str]:
        """Send images over one association; return the status of each as storescu prints it."""
        paths = [builders.save(ds, self.folder / f"{ds.SOPInstanceUID}.dcm") for ds in images]
        names = ["-aet", "SCANNER", "-aec", "ECHONODE", "127.0.0.1", str(self.port)]
        command = ["storescu", "-v", "-nh", *names, *paths]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        output = run.stdout + run.stderr
        said = re.findall(r"Received Store Response \((.*)\)", output)
        self.acknowledged += [ds for ds, status in zip(images, said, strict=False) if status == "Success"]
        return said or re.findall("Rejected Transient", output)


def image(number: int, size_mb: int = 1) -> FileDataset:
    """Return an image of the study of about so many megabytes."""
    pixels = np.random.default_rng(number).integers(0, 256, (size_mb * 1024, 1024), dtype=np.uint8)
    uid = generate_uid(entropy_srcs=["local faults", str(number)])
    return builders.us_image(pixels, StudyInstanceUID=STUDY, SOPInstanceUID=uid)


@contextmanager
def node(data_dir: Path, *, soft_mb: int = 1, hard_mb: int = 1) -> Iterator[NodeHarness]:
    """Run a receiver process with these thresholds."""
    with receiver_process(
        settings_for(data_dir, disk={"soft_free_mb": soft_mb, "hard_free_mb": hard_mb})
    ) as running:
        yield running


def assert_nothing_is_lost(running: NodeHarness, scanner: Scanner) -> None:
    """Every acknowledged image has its row and its bytes; nothing is left half written."""
    rows = {each.sop_instance_uid: each for each in running.instances(STUDY)}
    assert set(rows) >= {ds.SOPInstanceUID for ds in scanner.acknowledged}
    for ds in scanner.acknowledged:
        assert dcmread(running.data_dir / rows[ds.SOPInstanceUID].path).PixelData == ds.PixelData
    assert list((running.data_dir / "incoming").iterdir()) == []


def test_the_disk_fills_while_a_scanner_sends(disk: Disk, tmp_path: Path) -> None:
    """Below hard objects are refused with 0xA700 while there is room for rows, a big one half way too."""
    with node(disk.path / "node", soft_mb=8, hard_mb=8) as running:
        scanner = Scanner(tmp_path, running.port)
        assert scanner.send(image(1)) == ["Success"]
        disk.leave(14 * MEGABYTE)
        # 10 MB: there is room when it begins, and not when 8 MB of it have come.
        said = scanner.send(image(2, size_mb=10), image(3), image(4, size_mb=10), image(5))
        assert said == ["Refused: OutOfResources", "Success", "Refused: OutOfResources", "Success"]
        (first, *_) = running.wait_for_event("instance.refused", 2)
        assert first.detail["status"] == "0xA700"
        assert "less than 8 MB are free" in str(first.detail["reason"])
        disk.empty()

        assert scanner.send(image(2, size_mb=10), image(4, size_mb=10)) == ["Success"] * 2
        assert_nothing_is_lost(running, scanner)


def test_below_soft_associations_are_rejected_for_now(disk: Disk, tmp_path: Path) -> None:
    """Transient rejections, two audit rows in all however many were rejected, and it is over by itself."""
    with node(disk.path / "node", soft_mb=16, hard_mb=4) as running:
        scanner = Scanner(tmp_path, running.port)
        disk.leave(12 * MEGABYTE)
        for _ in range(3):
            assert scanner.send(image(1)) == ["Rejected Transient"]
        disk.empty()

        assert scanner.send(image(1)) == ["Success"]
        (low,) = running.wait_for_event("disk.low")
        (over,) = running.wait_for_event("disk.recovered")
        assert low.detail["soft_free_mb"] == 16
        assert over.detail["associations_rejected"] == 3
        assert running.events("association.rejected") == []
        assert_nothing_is_lost(running, scanner)


def test_the_disk_is_really_full(disk: Disk, tmp_path: Path) -> None:
    """ENOSPC in the middle of an object is 0xA700 as well; with room again everything is taken."""
    with node(disk.path / "node") as running:
        scanner = Scanner(tmp_path, running.port)
        assert scanner.send(image(1)) == ["Success"]
        for number in range(2, 4):
            disk.leave(2 * MEGABYTE)
            assert scanner.send(image(number, size_mb=3)) == ["Refused: OutOfResources"]
            disk.empty()
            assert scanner.send(image(number, size_mb=3)) == ["Success"]
        (first, *_) = running.wait_for_event("instance.refused", 2)
        assert "No space left" in str(first.detail["reason"])
        assert_nothing_is_lost(running, scanner)


def test_a_read_only_data_folder(disk: Disk, tmp_path: Path) -> None:
    """0xA700 for as long as it lasts, and again success without a restart."""
    # The database lies elsewhere: the kernel makes no disk read-only under a file that is open for writing.
    store = StoreSettings(url=f"sqlite:///{tmp_path}/echonode.db")
    settings = settings_for(disk.path / "node", disk={"soft_free_mb": 1, "hard_free_mb": 1})
    with receiver_process(settings.model_copy(update={"store": store})) as running:
        scanner = Scanner(tmp_path, running.port)
        assert scanner.send(image(1)) == ["Success"]
        disk.remount("ro")
        assert scanner.send(image(2)) == ["Refused: OutOfResources"]
        disk.remount("rw")

        assert scanner.send(image(2)) == ["Success"]
        (refused,) = running.wait_for_event("instance.refused")
        assert "Read-only" in str(refused.detail["reason"])
        assert_nothing_is_lost(running, scanner)


def test_a_locked_database(tmp_path: Path) -> None:
    """A process that holds it longer than the busy timeout makes 0xA700; after that all goes on."""
    settings = settings_for(tmp_path)
    with receiver(tmp_path, database=Database(settings.store_url, busy_timeout_s=0.5)) as running:
        scanner = Scanner(tmp_path, running.port)
        assert scanner.send(image(1)) == ["Success"]
        command = [sys.executable, "-c", HOLD, str(tmp_path / "echonode.db")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            assert scanner.send(image(2)) == ["Refused: OutOfResources"]
            holder.communicate("\n")

        assert scanner.send(image(2)) == ["Success"]
        assert_nothing_is_lost(running, scanner)


def test_a_damaged_database_is_restored(tmp_path: Path) -> None:
    """It is refused with the way out and exit 1; the backup comes back, and what came since is adopted."""
    settings = settings_for(tmp_path / "node")
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{settings.node.data_dir}"\nhost = "127.0.0.1"\nport = 0\n')
    copy, path = tmp_path / "copy.db", settings.node.data_dir / "echonode.db"
    with receiver_process(settings) as running:
        scanner = Scanner(tmp_path, running.port)
        assert scanner.send(image(1)) == ["Success"]
        assert echonode("backup", "--out", copy, "--config", config).returncode == 0
        assert scanner.send(image(2)) == ["Success"]
        refused = echonode("restore", copy, "--config", config)
        assert (refused.returncode, "A node runs" in refused.stderr) == (1, True)
    damage(path)

    receiver_alone = Receiver(runtime(settings=settings))
    with pytest.raises(StoreUnavailable, match=REFUSAL):
        receiver_alone.start()
    receiver_alone.stop()
    run = echonode("serve", "--config", config)
    assert run.returncode == 1
    assert re.search(REFUSAL, run.stdout + run.stderr)
    restored = echonode("restore", copy, "--config", config)
    assert (restored.returncode, restored.stderr) == (0, "")

    with receiver_process(settings) as running:
        scanner.port = running.port
        assert scanner.send(image(3)) == ["Success"]
        assert_nothing_is_lost(running, scanner)
        assert [each.sop_instance_uid for each in running.events("instance.adopted")] == [
            image(2).SOPInstanceUID
        ]
        (event,) = running.events("database.restored")
        assert (path.parent / str(event.detail["former_database"])).exists()


def damage(path: Path) -> None:
    """Write the log into the file, then overwrite the middle of it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xde\xad\xbe\xef" * 4096)
