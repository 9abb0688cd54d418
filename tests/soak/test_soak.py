"""Soak: a thousand instances over a hundred associations; TEST_SCALE=10 makes it ten times that."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import builders
import pytest
from footprint import Footprint, footprint
from pacs import Pacs
from pusher import image, needs_dcmtk, storescu
from rig import Rig, wait_for
from scale import SCALE

pytestmark = [needs_dcmtk, pytest.mark.timeout(300 * SCALE)]

ASSOCIATIONS = 100 * SCALE
WARM_UP = ASSOCIATIONS // 4
PER_ASSOCIATION = 10
MEASURED_EVERY = 10
"""Most images of an echo study are not measured."""
FLAT = 1.10
SETTLED_S = 120.0 * SCALE


@pytest.fixture
def rig(tmp_path: Path, pacs: Pacs) -> Iterator[Rig]:
    """Return a node that delivers to the PACS, not started."""
    with closing(Rig(tmp_path, [pacs.destination])) as made:
        yield made


def study(number: int, folder: Path) -> list[Path]:
    """Write one study; returns its files."""
    made = []
    for each in range(PER_ASSOCIATION):
        told = "" if each % MEASURED_EVERY == 0 else "refuse"
        made.append(builders.save(image(number, each, ImageComments=told), folder / f"{each}.dcm"))
    return made


def send(rig: Rig, numbers: range) -> None:
    """Send one study per association, and wait until all of them are concluded and delivered."""
    for number in numbers:
        assert storescu(rig.port, study(number, rig.folder / "scanner")) == PER_ASSOCIATION
    wait_for(lambda: rig.unfinished() == 0, "every study is concluded", limit_s=SETTLED_S)


def is_flat(pid: int, before: Footprint) -> bool:
    """Tell whether a process needs no more than before, but for a tenth of its memory."""
    now = footprint(pid)
    return (
        now.rss_mb <= before.rss_mb * FLAT and now.handles <= before.handles and now.threads <= before.threads
    )


def test_flat_under_load(rig: Rig, pacs: Pacs) -> None:
    """Memory of receiver and worker stays within 10 %, their file handles and threads stay the same."""
    processes = {role: rig.role(role) for role in ("receive", "work")}
    wait_for(rig.listening, "the receiver listens")
    send(rig, range(WARM_UP))
    early = {role: footprint(process.pid) for role, process in processes.items()}

    send(rig, range(WARM_UP, ASSOCIATIONS))

    for role, before in early.items():
        pid = processes[role].pid
        # Threads of the last associations may still be on their way out.
        wait_for(lambda pid=pid, before=before: is_flat(pid, before), f"the {role} process is as it was")
        print(f"{role}: {before} -> {footprint(pid)}")
    assert len(rig.events("instance.received")) == ASSOCIATIONS * PER_ASSOCIATION
    assert len(set(pacs.uids)) == 2 * ASSOCIATIONS * PER_ASSOCIATION / MEASURED_EVERY
    assert rig.broken_audit_rows() == []
