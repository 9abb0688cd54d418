"""The node of the demo: `echonode serve` with settings of its own in a temporary folder."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicom_node.network.outcomes import Accepted
from dicom_node.network.scu import echo
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination
from dicom_node.tools.demo.wait import wait_for
from store.db.database import Database
from store.db.states import DeliveryState
from store.rows import deliveries

SETTINGS = """\
[node]
host = "127.0.0.1"
port = {port}
data_dir = "{data_dir}"
[[destinations]]
name = "pacs"
ae_title = "DEMOPACS"
host = "127.0.0.1"
port = {pacs_port}
[study]
quiet_seconds = 2.0
"""


@dataclass(frozen=True, kw_only=True)
class Node:
    """The running node."""

    port: int
    database: Database

    def delivered(self) -> int:
        """Return the number of DELIVERED deliveries."""
        with self.database.read() as session:
            return deliveries.counts(session).get(DeliveryState.DELIVERED, 0)


@contextmanager
def running_node(folder: Path, pacs_port: int, limit_s: float) -> Iterator[Node]:
    """Start the node, wait until it answers C-ECHO, and stop it after the block.

    Raises:
        DemoTimeout: it does not answer within `limit_s`.
    """
    port, config = free_port(), folder / "echonode.toml"
    config.write_text(SETTINGS.format(port=port, data_dir=folder / "data", pacs_port=pacs_port))
    settings = Settings.load(config)
    command = [sys.executable, "-m", "dicom_node.cli.app", "serve", "--config", str(config)]
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - of this program
    try:
        itself = Destination(name="node", ae_title=settings.node.ae_title, host="127.0.0.1", port=port)
        wait_for(
            lambda: process.poll() is None and isinstance(echo(itself, calling_ae="DEMO"), Accepted),
            limit_s,
            "the node does not answer C-ECHO",
        )
        with closing(Database(settings.store_url)) as database:
            yield Node(port=port, database=database)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=limit_s)


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
