"""A day's traffic through one receiver process in fast motion: its memory stays what it was.

SOAK_INSTANCES=50000 is a day of a busy department. The data folder is in memory: no disk is waited for.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import builders
from support.node import receiver_process, settings_for
from support.peers import needs_dcmtk
from support.pusher import storescu

INSTANCES = int(os.environ.get("SOAK_INSTANCES", "3000"))
FIRST = 1000
PER_STUDY, PER_ASSOCIATION = 10, 50
UID_OF = "1.2.826.0.1.3680043.8.498.9{:09d}"
MORE_KB = 10_000
MEMORY = Path("/dev/shm")  # noqa: S108 - on purpose

pytestmark = [needs_dcmtk, pytest.mark.timeout(300 + INSTANCES // 5)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory, or on the disk where there is none."""
    made = Path(tempfile.mkdtemp(prefix="echonode-day-", dir=MEMORY if MEMORY.is_dir() else tmp_path))
    yield made
    shutil.rmtree(made)


def send(port: int, folder: Path, first: int, number: int) -> None:
    """Send images, so many to a study and so many over an association."""
    ds = builders.image_2d(StudyInstanceUID=UID_OF.format(0), SOPInstanceUID=UID_OF.format(1))
    template = builders.save(ds, folder / "template.dcm").read_bytes()
    paths = [folder / f"{each}.dcm" for each in range(PER_ASSOCIATION)]
    for start in range(first, first + number, PER_ASSOCIATION):
        for each, path in enumerate(paths, start=start):
            # Numbers of equal length: nothing moves in the file.
            study, instance = UID_OF.format(2 * (each // PER_STUDY) + 2), UID_OF.format(2 * each + 3)
            data = template.replace(UID_OF.format(0).encode(), study.encode())
            path.write_bytes(data.replace(UID_OF.format(1).encode(), instance.encode()))
        assert storescu(port, paths) == PER_ASSOCIATION


def test_memory_of_a_day(folder: Path, tmp_path: Path) -> None:
    """After all instances the process has at most 10 MB more than after the first thousand."""
    settings = settings_for(folder / "data", disk={"soft_free_mb": 100, "hard_free_mb": 50})
    with receiver_process(settings, log=tmp_path / "log") as node:
        send(node.port, folder, 0, FIRST)
        early = node.footprint()
        send(node.port, folder, FIRST, INSTANCES - FIRST)
        late = node.footprint()

    print(f"after {FIRST} instances {early}, after {INSTANCES} {late}")
    assert late.rss_kb <= early.rss_kb + MORE_KB
    assert late.handles <= early.handles + 2
    assert late.threads <= early.threads + 2
