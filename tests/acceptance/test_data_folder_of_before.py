"""The data folder of the commit before this layout: it opens, migrates, is verified, and its work goes on."""

import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.node import PATIENCE_S, NodeHarness, free_port, settings_for, wait_for
from support.pacs import Pacs

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "data_folder_schema_0005.tar.xz"


@pytest.fixture
def destinations() -> Iterator[dict[str, Pacs]]:
    """Yield the destinations that the folder's deliveries name."""
    with ExitStack() as running:
        yield {
            name: running.enter_context(Pacs(name=name, commitment=name == "vna"))
            for name in ("archive", "vna", "viewer")
        }


@pytest.fixture
def node(tmp_path: Path, destinations: dict[str, Pacs]) -> Iterator[NodeHarness]:
    """Yield a node on a copy of the folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    settings = settings_for(
        tmp_path / "data",
        destinations=[pacs.destination for pacs in destinations.values()],
        sections={"study": {"quiet_seconds": 0.5}, "delivery": {"commitment_wait_s": 2.0}},
        port=free_port(),
    )
    made = NodeHarness(tmp_path, settings=settings, with_tables=False)
    yield made
    made.close()


def verified(node: NodeHarness) -> str:
    """Return what `echonode audit verify` says of a log that is as it was written."""
    done = node.run_command("audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_work_goes_on(node: NodeHarness, destinations: dict[str, Pacs]) -> None:
    """What waited is delivered, what was sent is committed, the open study is reported, the log is sound."""
    destinations["vna"].reports_at_once = True
    node.database.upgrade()
    assert "compared with 3 checkpoints" in verified(node)
    for name in ("audit.pub", "checkpoints.jsonl"):  # the private key is not part of the fixture
        (node.data_dir / name).rename(node.data_dir / f"{name}.before")

    worker = node.start_role("work")
    wait_for(lambda: node.deliveries() == {"DELIVERED": 6, "COMMITTED": 3}, "all is delivered", limit_s=60)
    worker.terminate()

    assert worker.wait(timeout=PATIENCE_S) == 0
    assert {name: len(pacs.uids) for name, pacs in destinations.items()} == {
        "archive": 2,  # of the study that was open: SR and overlay
        "vna": 2,
        "viewer": 3,  # and the report that waited
    }
    assert {state for (state,) in _states(node)} == {"DONE"}
    assert "compared with 2 checkpoints" in verified(node)


def _states(node: NodeHarness) -> list[tuple[str]]:
    with node.database.read() as session:
        rows = session.connection().exec_driver_sql("SELECT state FROM studies")
        return [(str(state),) for (state,) in rows]
