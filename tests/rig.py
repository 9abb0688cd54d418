"""A node in real processes, for acceptance tests: its folder, its settings, its scanner, its rows."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import builders
from pydicom.dataset import FileDataset
from sqlalchemy import text

from dicom_node.network.peer import Peer
from dicom_node.network.scu import Accepted, send_objects
from dicom_node.process.clock import utc_now
from dicom_node.receive.ingest import Ingest
from dicom_node.settings import Destination, PeerSettings
from store.audit import audit_log
from store.audit.chain import Flaw
from store.audit.verification import verify
from store.db.database import Database
from store.db.states import DeliveryState
from store.files.file_store import FileStore
from store.rows import deliveries, instances

TESTS = Path(__file__).parent
ROLE = TESTS / "role.py"
PATIENCE_S = 30.0
FIRST_PORT, PORTS_EACH, SHARES = 12_000, 2_000, 10
"""Of each of the processes that run tests side by side."""


def wait_for(condition: Callable[[], Any], what: str, *, limit_s: float = PATIENCE_S) -> Any:
    """Return what `condition` says as soon as it is true; fail the test when it takes too long."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"still waiting after {limit_s} s: {what}")


def _ports() -> Iterator[int]:
    """Yield ports of this process's share, below those that outgoing connections get."""
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % SHARES
    first = FIRST_PORT + share * PORTS_EACH
    start = os.getpid() % PORTS_EACH
    yield from itertools.cycle([*range(first + start, first + PORTS_EACH), *range(first, first + start)])


PORTS = _ports()


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody else will be given soon."""
    while True:
        port = next(PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Rig:
    """One node: `start` its roles, `send` to it, ask its database."""

    def __init__(
        self,
        folder: Path,
        destinations: Sequence[Destination] = (),
        *,
        job_attempts: int = 3,
        peers: Sequence[PeerSettings] = (),
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.config = folder / "echonode.toml"
        self.config.write_text(self._toml(destinations, job_attempts, peers))
        self.database = Database(f"sqlite:///{folder}/data/echonode.db")
        self.database.upgrade()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process of the node; its log goes to a file in the folder."""
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        with (self.folder / "node.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path, **environment},
            )
        self.processes.append(process)
        return process

    def role(self, name: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a role with stand-in steps (see role.py)."""
        return self.start(str(ROLE), name, str(self.config), **environment)

    def close(self) -> None:
        """End whatever still runs, children of a supervisor included."""
        for process in self.processes:
            for child in children_of(process):
                kill(child)
            process.kill()
            process.wait()
        self.database.close()

    def listening(self) -> bool:
        """Tell whether somebody accepts connections on the DICOM port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, ds: FileDataset) -> bool:
        """Send one object over an association of its own; True if it was acknowledged."""
        path = builders.save(ds, self.folder / "scanner" / f"{ds.SOPInstanceUID}.dcm")
        node = Destination(name="node", ae_title="ECHONODE", host="127.0.0.1", port=self.port, timeout_s=10)
        return list(send_objects(node, [path], calling_ae="SCANNER")) == [Accepted(status=0x0000)]

    def ingest(self, ds: FileDataset) -> None:
        """Take an image in as the receiver does, without one."""
        files = FileStore(self.folder / "data")
        Ingest(self.database, files, utc_now).receive(
            builders.save(ds, files.incoming / "one.part"),
            sop_class_uid=ds.SOPClassUID,
            sop_instance_uid=ds.SOPInstanceUID,
            sender=Peer(ae_title="SCANNER", ip=""),
        )

    def events(self, event: str) -> list[audit_log.AuditEvent]:
        """Return the audit events of one kind, oldest first."""
        with self.database.read() as session:
            return audit_log.events(session, event=event)

    def broken_audit_rows(self) -> list[Flaw]:
        """Return what is wrong with the audit rows."""
        with self.database.read() as session:
            return verify(session)

    def instances(self, study_uid: str) -> dict[str, instances.Instance]:
        """Return the instances of a study by UID."""
        with self.database.read() as session:
            return {each.sop_instance_uid: each for each in instances.of_study(session, study_uid)}

    def deliveries(self) -> Mapping[str, int]:
        """Return how many deliveries are in each state."""
        with self.database.read() as session:
            return deliveries.counts(session)

    def delivered(self) -> int:
        """Return how many objects were delivered."""
        return self.deliveries()[DeliveryState.DELIVERED]

    def open_studies(self) -> int:
        """Return how many studies are not concluded."""
        query = "SELECT count(*) FROM studies WHERE state NOT IN ('DONE', 'FAILED')"
        with self.database.read() as session:
            return int(session.scalar(text(query)) or 0)

    def undelivered(self) -> int:
        """Return how many objects are not yet kept by the PACS they are for."""
        waiting = self.deliveries()
        return waiting["PENDING"] + waiting["SENT"]

    def unfinished(self) -> int:
        """Return how much is left to do; 0: nothing."""
        return self.open_studies() + self.undelivered()

    def _toml(
        self, destinations: Sequence[Destination], job_attempts: int, peers: Sequence[PeerSettings]
    ) -> str:
        lines = ["[node]", 'host = "127.0.0.1"', f"port = {self.port}", f'data_dir = "{self.folder}/data"']
        lines += ["[study]", "quiet_seconds = 0.5", "[job]", f"max_attempts = {job_attempts}"]
        lines += ["[delivery]", "first_retry_s = 0.2", "max_retry_s = 1.0", "commitment_wait_s = 2.0"]
        for each in destinations:
            lines += ["[[destinations]]", f'name = "{each.name}"', f'ae_title = "{each.ae_title}"']
            lines += [f'host = "{each.host}"', f"port = {each.port}", f"timeout_s = {each.timeout_s}"]
            lines += [f"commitment = {str(each.commitment).lower()}"]
        for peer in peers:
            lines += ["[[peers]]", f'ae_title = "{peer.ae_title}"', f'host = "{peer.host}"']
            lines += [f"port = {peer.port}"]
        return "\n".join(lines)


def children_of(process: subprocess.Popen[bytes]) -> list[int]:
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
