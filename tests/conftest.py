"""What tests of every kind start with; a file that needs another kind of it defines its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import write_lock_watch
from support.pacs import Pacs
from support.peers import require

SmallDisk = Callable[[int], Path]


def pytest_configure() -> None:
    """Watch write transactions; let `storescu` be DCMTK's, of which pynetdicom has a namesake."""
    write_lock_watch.install()
    ours = str(Path(sys.prefix) / "bin")
    os.environ["PATH"] = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if folder != ours
    )


@pytest.fixture(autouse=True)
def nothing_slow_under_the_write_lock() -> Iterator[None]:
    """Fail a test in which the program touched disk or network inside a write transaction."""
    write_lock_watch.take()
    yield
    found = write_lock_watch.take()
    assert not found, f"slow inside a write transaction: {found}"


@pytest.fixture
def dcmtk() -> None:
    """Skip where DCMTK is missing."""
    require("echoscu", "storescu")


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    """Start a PACS that counts."""
    with Pacs() as running:
        yield running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Return what mounts a disk of so many megabytes, once, and says where."""
    path = tmp_path / "disk"

    def mount(size_mb: int) -> Path:
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(path)]
        if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("mounting a small disk needs root")
        return path

    yield mount
    if path.is_mount():
        subprocess.run(["umount", "-l", str(path)], check=True)
