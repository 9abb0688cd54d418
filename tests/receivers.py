"""Receivers to push to, in this process or in one of their own, and a sender that may misbehave."""

# ruff: noqa: SLF001 - a hostile sender goes past pynetdicom's own checks

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import PresentationContext, build_context
from runtimes import runtime

from dicom_node.roles.receiver import Receiver
from dicom_node.settings import Destination, Settings
from store.audit import audit_log
from store.audit.audit_log import AuditEvent
from store.db.database import Database
from store.rows import instances
from store.rows.instances import Instance

RUN = """
import sys
from dicom_node.process import logs
from dicom_node.roles.receiver import run_receiver
from dicom_node.settings import Destination, Settings
logs.configure(json=True)
settings = Settings.model_validate_json(sys.argv[1])
ready = lambda port: print(port, flush=True)
sys.exit(run_receiver(settings, ready=ready, watch_stdin="--watch-stdin" in sys.argv))
"""


def settings_for(
    data_dir: Path,
    *,
    peers: Sequence[dict[str, str]] = (),
    destinations: Sequence[Destination] = (),
    disk: Mapping[str, int] | None = None,
    **node: Any,
) -> Settings:
    """Return settings of a receiver on a free port of this machine that drains quickly."""
    defaults = {"data_dir": data_dir, "host": "127.0.0.1", "port": 0, "drain_seconds": 0.3}
    return Settings(
        node=defaults | node,  # type: ignore[arg-type]  # parsed by pydantic
        peers=list(peers),  # type: ignore[arg-type]  # as above
        destinations=tuple(destinations),
        disk=disk or {},  # type: ignore[arg-type]  # as above
    )


class Node:
    """A running receiver: its port, and what it has stored."""

    def __init__(self, settings: Settings, port: int) -> None:
        self.settings = settings
        self.port = port
        self.data_dir = settings.node.data_dir

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Open the database of the node."""
        database = Database(self.settings.store_url)
        yield database
        database.close()

    def events(self, event: str | None = None) -> list[AuditEvent]:
        """Return the audit events, oldest first."""
        with self.database() as database, database.read() as session:
            return audit_log.events(session, event=event)

    def wait_for_event(self, event: str, count: int = 1) -> list[AuditEvent]:
        """Wait until an event was recorded `count` times."""
        wait_for(lambda: len(self.events(event)) >= count, f"{count} x {event}")
        return self.events(event)

    def instances(self, study_uid: str) -> list[Instance]:
        """Return the rows of a study."""
        with self.database() as database, database.read() as session:
            return instances.of_study(session, study_uid)

    def files(self) -> list[str]:
        """Return every DICOM file or part of one under the data folder, relative to it."""
        found = (path for path in self.data_dir.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.data_dir)) for path in found if ".db" not in path.name)


@contextmanager
def receiver(data_dir: Path, *, database: Database | None = None, **options: Any) -> Iterator[Node]:
    """Run a receiver in this process."""
    settings = settings_for(data_dir, **options)
    running = Receiver(runtime(settings=settings, database=database))
    port = running.start()
    try:
        yield Node(settings, port)
    finally:
        running.stop()


class Process(Node):
    """A receiver in a process of its own, on a port that stays the same over restarts."""

    def __init__(self, settings: Settings, *arguments: str, log: Path | None = None) -> None:
        command = [sys.executable, "-c", RUN, settings.model_dump_json(), *arguments]
        with open(log or os.devnull, "ab") as file:  # noqa: PTH123 - devnull is no Path
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file if log else subprocess.PIPE,
                text=True,
            )
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.communicate()[1]
        super().__init__(settings, int(line))

    def rss_kb(self) -> int:
        """Return the memory in use."""
        return self._status("VmRSS")

    def peak_rss_kb(self) -> int:
        """Return the most memory that was ever in use."""
        return self._status("VmHWM")

    def threads(self) -> int:
        """Return the number of threads."""
        return self._status("Threads")

    def _status(self, key: str) -> int:
        text = Path(f"/proc/{self.popen.pid}/status").read_text(encoding="ascii")
        return int(text.split(f"{key}:")[1].split()[0])

    def close(self) -> None:
        """Kill what still runs."""
        with self.popen:
            self.popen.kill()


@contextmanager
def process(settings: Settings, *arguments: str, log: Path | None = None) -> Iterator[Process]:
    """Run a receiver in a process of its own; killed at the end if it has not ended.

    What may log a lot needs a file as `log`: nobody empties the pipe.
    """
    running = Process(settings, *arguments, log=log)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def association(
    port: int, *contexts: PresentationContext, called: str = "ECHONODE", **options: Any
) -> Iterator[Association]:
    """Open an association with the given contexts; it is released at the end if it still stands."""
    ae = AE("SCANNER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    opened = ae.associate("127.0.0.1", port, contexts=list(contexts), ae_title=called, **options)
    connection = opened.dul.socket and opened.dul.socket.socket
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()
        if connection:
            connection.close()  # pynetdicom forgets to when the peer was first


def contexts_of(*datasets: Dataset, syntax: str = ExplicitVRLittleEndian) -> list[PresentationContext]:
    """Return one context per SOP class of the data sets."""
    return [build_context(sop_class, syntax) for sop_class in sorted({ds.SOPClassUID for ds in datasets})]


def push(port: int, *datasets: Dataset) -> list[int | None]:
    """Send data sets in one association and return the status of each; None for no answer."""
    with association(port, *contexts_of(*datasets)) as opened:
        assert opened.is_established
        return [opened.send_c_store(ds).get("Status") for ds in datasets]


def encoded(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the bytes of a data set in a transfer syntax."""
    uid = UID(syntax)
    data = encode(ds, uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
    assert data is not None
    return data


def fragments(
    opened: Association, data: bytes, *, sop_class: str | None, sop_instance: str | None, context: int = 0
) -> list[P_DATA]:
    """Return the P-DATA requests of a C-STORE of any bytes under any UIDs; `context` counts the accepted."""
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 0x0002
    request._affected_sop_class_uid = None if sop_class is None else UID(sop_class)
    request._affected_sop_instance_uid = None if sop_instance is None else UID(sop_instance)
    request.DataSet = BytesIO(data)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    if not data:
        message.command_set.CommandDataSetType = 0x0101  # no data set (PS3.7 E.1)
    context_id = opened.accepted_contexts[context].context_id
    return list(message.encode_msg(context_id, opened.dimse.maximum_pdu_size))


@contextmanager
def paused(opened: Association) -> Iterator[None]:
    """Keep pynetdicom from taking the answers that the test waits for."""
    opened._reactor_checkpoint.clear()
    wait_for(lambda: opened._is_paused, "the reactor to pause")
    yield
    opened._reactor_checkpoint.set()


def status_of_answer(opened: Association) -> int | None:
    """Wait for the answer to a C-STORE; None when the association ended instead."""
    _, answer = opened.dimse.get_msg(block=True)
    return None if answer is None else answer.Status


def store_raw(opened: Association, data: bytes, **about: Any) -> int | None:
    """Send a C-STORE of any bytes under any UIDs, see `fragments`; returns its status."""
    with paused(opened):
        for fragment in fragments(opened, data, **about):
            opened.dul.send_pdu(fragment)
        return status_of_answer(opened)


def data_set_bytes(path: Path) -> bytes:
    """Return what follows the file meta information of a DICOM file."""
    meta = read_file_meta_info(path)
    return path.read_bytes()[144 + meta.FileMetaInformationGroupLength :]


def wait_for(condition: Callable[[], object], what: str, limit_s: float = 20.0) -> None:
    """Wait until `condition()` holds; fails the test when it does not."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit_s} s for {what}"
        time.sleep(0.01)


def log_lines(text: str) -> list[dict[str, Any]]:
    """Return the JSON log lines of a process."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
