"""One node under test: `NodeHarness`, in the test's process or as the processes of a hospital.

In the test's process the steps are called one by one (`receive`, `complete`, `work`, `deliver`, `ask`,
`apply_retention`) and the clock stands still in between. As processes, `start_role` starts what
`process_node` returns, `send` is a scanner, and `end_processes` or `kill` end it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dicom_node.identity import installation_uid
from dicom_node.report.plan import ReportPlan
from dicom_node.roles.receiver import Receiver
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination, PeerSettings
from dicom_node.study.pipeline import Pipeline
from store.db.database import Database
from support import fake_analyzer
from support.databases import upgraded
from support.node_processes import NodeProcesses, Started, children_of, kill
from support.node_receiver import NodeReceiver
from support.node_rows import NodeRows
from support.node_runtime import START, AdjustableClock, RunningClock, Volume, runtime, settings_for
from support.node_steps import QUIET, NodeSteps
from support.wait import PATIENCE_S, free_port, wait_for

__all__ = [
    "PATIENCE_S",
    "QUIET",
    "START",
    "NodeHarness",
    "RunningClock",
    "children_of",
    "free_port",
    "kill",
    "process_node",
    "receiver",
    "receiver_process",
    "runtime",
    "settings_for",
    "wait_for",
]


class NodeHarness(NodeRows, NodeSteps, NodeProcesses, NodeReceiver):
    """A node with its data in `folder`/data, its settings in `folder`/echonode.toml, and its rows."""

    def __init__(
        self,
        folder: Path,
        *destinations: Destination,
        peers: Sequence[PeerSettings] = (),
        settings: Settings | None = None,
        now: datetime = START,
        with_tables: bool = True,
        **delivery: float,
    ) -> None:
        self.folder = folder
        self.settings = settings or settings_for(
            folder / "data", destinations=destinations, peers=peers, sections={"delivery": delivery}
        )
        self.data_dir = self.settings.node.data_dir
        self.clock = AdjustableClock(now)
        self.files = Volume(self.data_dir)
        self.port = self.settings.node.port
        self.database = (upgraded if with_tables else Database)(self.settings.store_url)
        self.processes: list[Started] = []
        self.runtime = runtime(
            settings=self.settings, database=self.database, files=self.files, clock=self.clock
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        """The pipeline of a worker, with the fake analyzer."""
        return Pipeline(
            runtime=self.runtime,
            analyzer=fake_analyzer.fake_analyzer(),
            plan=ReportPlan(by_destination={"pacs": frozenset({"tid5200", "overlay"})}),
            installation_uid=installation_uid(self.data_dir),
        )

    def close(self) -> None:
        """End whatever still runs."""
        self.end_processes()
        self.database.close()


def process_node(
    folder: Path,
    destinations: Sequence[Destination] = (),
    *,
    peers: Sequence[PeerSettings] = (),
    job_attempts: int = 3,
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> NodeHarness:
    """Return a node whose roles are to run as processes: on a port that stays, impatient in all it does."""
    impatient: dict[str, Mapping[str, Any]] = {
        "study": {"quiet_seconds": 0.5},
        "job": {"max_attempts": job_attempts},
        "delivery": {"first_retry_s": 0.2, "max_retry_s": 1.0, "commitment_wait_s": 2.0},
    }
    settings = settings_for(
        folder / "data",
        destinations=destinations,
        peers=peers,
        sections=impatient | dict(sections or {}),
        port=free_port(),
        drain_seconds=10,
    )
    return NodeHarness(folder, settings=settings)


@contextmanager
def receiver(data_dir: Path, *, database: Database | None = None, **options: Any) -> Iterator[NodeHarness]:
    """Run a receiver in this process, with the settings that `settings_for` makes of the options."""
    settings = settings_for(data_dir, **options)
    with closing(NodeHarness(data_dir.parent, settings=settings)) as node:
        running = Receiver(runtime(settings=settings, database=database))
        node.port = running.start()
        try:
            yield node
        finally:
            running.stop()


@contextmanager
def receiver_process(
    settings: Settings, *arguments: str, log: Path | None = None, **environment: str
) -> Iterator[NodeHarness]:
    """Run a receiver in a process of its own; killed at the end if it has not ended."""
    folder = settings.node.data_dir.parent
    with closing(NodeHarness(folder, settings=settings, with_tables=False)) as node:
        node.start_receiver(*arguments, log=log, **environment)
        try:
            yield node
        finally:
            node.end_receiver()
