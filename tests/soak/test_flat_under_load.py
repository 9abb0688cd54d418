"""Many studies in a row: SOAK_STUDIES of ten instances, one association each."""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support import builders
from support.footprint import DATABASE_HANDLES, WORKER_TIMED_JOB_THREADS, Footprint, footprint
from support.node import NodeHarness, process_node, wait_for
from support.pacs import Pacs
from support.peers import needs_dcmtk
from support.pusher import image, storescu

ASSOCIATIONS = int(os.environ.get("SOAK_STUDIES", "100"))

pytestmark = [needs_dcmtk, pytest.mark.timeout(300 + 3 * ASSOCIATIONS)]

WARM_UP = ASSOCIATIONS // 4
PER_ASSOCIATION = 10
MEASURED_EVERY = 10
"""Most images of an echo study are not measured."""
FLAT = 1.10
SETTLED_S = 120.0 + ASSOCIATIONS


@pytest.fixture
def node(tmp_path: Path, pacs: Pacs) -> Iterator[NodeHarness]:
    """Return a node that delivers to the PACS, not started."""
    with closing(process_node(tmp_path, [pacs.destination])) as made:
        yield made


def study(number: int, folder: Path) -> list[Path]:
    """Write one study; returns its files."""
    made = []
    for each in range(PER_ASSOCIATION):
        told = "" if each % MEASURED_EVERY == 0 else "refuse"
        made.append(builders.save(image(number, each, ImageComments=told), folder / f"{each}.dcm"))
    return made


def send(node: NodeHarness, numbers: range) -> None:
    """Send one study per association, and wait until all of them are concluded and delivered."""
    for number in numbers:
        assert storescu(node.port, study(number, node.folder / "scanner")) == PER_ASSOCIATION
    wait_for(lambda: node.unfinished() == 0, "every study is concluded", limit_s=SETTLED_S)


def grown(before: Footprint, now: Footprint) -> list[str]:
    """Return what a process needs more of than before, but for a tenth of its memory and what is bounded."""
    most = {
        "rss_kb": before.rss_kb * FLAT,
        "handles": before.handles,
        "database_handles": max(DATABASE_HANDLES, before.database_handles),
        "threads": before.threads + WORKER_TIMED_JOB_THREADS,
    }
    return [
        f"{name}: {getattr(before, name)} -> {getattr(now, name)}, {limit:.0f} allowed"
        for name, limit in most.items()
        if getattr(now, name) > limit
    ]


def test_flat_under_load(node: NodeHarness, pacs: Pacs) -> None:
    """Memory of receiver and worker stays within 10 %, their file handles stay the same.

    Threads of timed jobs and connections of the database are opened when first needed, up to a bound.
    """
    processes = {role: node.start_role(role) for role in ("receive", "work")}
    node.wait_until_listening()
    send(node, range(WARM_UP))
    early = {role: footprint(process.pid) for role, process in processes.items()}

    send(node, range(WARM_UP, ASSOCIATIONS))

    for role, before in early.items():
        pid = processes[role].pid
        # Threads of the last associations may still be on their way out.
        with suppress(AssertionError):
            wait_for(lambda pid=pid, before=before: not grown(before, footprint(pid)), "it is as it was")
        print(f"{role}: {before} -> {footprint(pid)}")
        assert grown(before, footprint(pid)) == [], role
    assert len(node.events("instance.received")) == ASSOCIATIONS * PER_ASSOCIATION
    assert len(set(pacs.uids)) == 2 * ASSOCIATIONS * PER_ASSOCIATION / MEASURED_EVERY
    assert node.broken_audit_rows() == []
