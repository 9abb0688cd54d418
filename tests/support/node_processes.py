"""The roles of a node as real processes, and a scanner that sends to them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset

from dicom_node.network.outcomes import Accepted
from dicom_node.network.scu import Outgoing, send_objects
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination
from support import builders
from support.fork_server import SEARCH_PATH, ForkedProcess, fork_server, network_fork_server
from support.wait import listening, wait_for

Started = subprocess.Popen[bytes] | ForkedProcess
"""A process of the node."""

COMMAND = "dicom_node.cli.app"
"""The module that is the command `echonode`."""
NEEDS_NETWORKS = frozenset({"check", "demo", "measure"})
"""Commands that load them; `serve` does, too."""


class NodeProcesses:
    """Starts roles on the node's settings file, and ends them."""

    folder: Path
    settings: Settings
    port: int
    processes: list[Started]

    @cached_property
    def config(self) -> Path:
        """The settings file."""
        path = self.folder / "echonode.toml"
        path.write_text(toml(self.settings))
        return path

    @property
    def log(self) -> Path:
        """What all processes of the node wrote."""
        return self.folder / "node.log"

    @property
    def as_destination(self) -> Destination:
        """The node as somebody else's destination."""
        return Destination(name="node", ae_title="ECHONODE", host="127.0.0.1", port=self.port, timeout_s=10)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a Python process of the node; its log goes to a file in the folder."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": SEARCH_PATH, **environment},
            )
        self.processes.append(process)
        return process

    def start_role(self, name: str, *, networks: bool = False, **environment: str) -> ForkedProcess:
        """Start a role as a process of its own, with the real networks or the fake analyzer (see role.py)."""
        words = ["support.role", name, str(self.config)]
        return self._forked(words, networks, environment | ({"WITH_NETWORKS": "1"} if networks else {}))

    def start_command(self, *words: str) -> ForkedProcess:
        """Start the command with the node's settings, in a fork of a process that has imported it.

        A supervisor that is to start a child again must be the role (see role.py), or a real start.
        """
        return self._forked([COMMAND, *words, "--config", str(self.config)], networks=True)

    def _forked(
        self, words: Sequence[str], networks: bool, environment: Mapping[str, str] | None = None
    ) -> ForkedProcess:
        server = network_fork_server() if networks else fork_server()
        process = server.start(words, stderr=self.log, environment=environment)
        self.processes.append(process)
        return process

    def run_command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command about the node, to its end."""
        return echonode(*words, "--config", str(self.config))

    def end_processes(self) -> None:
        """End whatever still runs, children of a supervisor included."""
        for process in self.processes:
            if process.poll() is not None:
                continue
            for child in children_of(process):
                kill(child)
            process.kill()
            process.wait()

    def listening(self) -> bool:
        """Tell whether somebody accepts connections on the DICOM port."""
        return listening(self.port)

    def wait_until_listening(self) -> None:
        """Wait for the receiver."""
        wait_for(self.listening, "the receiver listens")

    def send(self, ds: FileDataset) -> bool:
        """Send one object over an association of its own; True if it was acknowledged."""
        path = builders.save(ds, self.folder / "scanner" / f"{ds.SOPInstanceUID}.dcm")
        sent = send_objects(self.as_destination, [Outgoing(path=path)], calling_ae="SCANNER")
        return list(sent) == [Accepted(status=0x0000)]


def echonode(*words: str | Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in a fork of a process that has imported it."""
    server = network_fork_server() if words[0] in NEEDS_NETWORKS else fork_server()
    return server.run(COMMAND, *map(str, words), timeout_s=timeout_s)


def toml(settings: Settings) -> str:
    """Return a settings file that says what these settings say and the defaults do not."""
    told = settings.model_dump(mode="json", exclude_unset=True)
    tables = {name: value for name, value in told.items() if isinstance(value, dict)}
    lists = {name: value for name, value in told.items() if isinstance(value, list)}
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *_entries(table)]
    for name, entries in lists.items():
        for entry in entries:
            lines += [f"[[{name}]]", *_entries(entry)]
    return "\n".join([*lines, ""])


def _entries(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None]


def children_of(process: Started) -> list[int]:
    """Return the process ids of the children."""
    try:
        text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    except FileNotFoundError:
        return []
    return [int(number) for number in text.split()]


def kill(pid: int) -> None:
    """Send SIGKILL to a process that may have gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
