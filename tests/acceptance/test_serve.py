"""Both roles under one supervisor: restarted when they die, drained when told to stop."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import builders
import pytest
from pacs import Pacs
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage
from pynetdicom import AE
from rig import PATIENCE_S, Rig, children_of, kill, wait_for

from dicom_node.network.scu import Accepted, echo
from dicom_node.roles.supervisor import commands, next_delay_s
from dicom_node.settings import Destination, NodeSettings, Settings


@pytest.fixture
def rig(tmp_path: Path, pacs: Pacs) -> Iterator[Rig]:
    """Return a node that delivers to the PACS, not started."""
    made = Rig(tmp_path, [pacs.destination])
    yield made
    made.close()


def serve(rig: Rig) -> subprocess.Popen[bytes]:
    """Start the supervisor and wait until both roles say that they have started."""
    supervisor = rig.role("serve")
    wait_for(lambda: {"receiver", "worker"} <= roles(rig, "node.started"), "both roles have started")
    return supervisor


def roles(rig: Rig, event: str) -> set[str]:
    """Return the roles of which the audit log has that event."""
    return {str(each.detail["role"]) for each in rig.events(event)}


def test_image_in_result_out(rig: Rig, pacs: Pacs) -> None:
    """What is pushed to the node comes out at the PACS as SR and overlay, and SIGTERM ends with exit 0."""
    supervisor = serve(rig)
    assert rig.send(builders.image_2d())

    wait_for(lambda: rig.delivered() == 2, "SR and overlay are delivered")
    supervisor.terminate()

    assert supervisor.wait(timeout=PATIENCE_S) == 0
    assert len(pacs.uids) == 2
    assert {"receiver", "worker", "supervisor"} == roles(rig, "node.stopped")


def test_dead_children_are_started_again(rig: Rig) -> None:
    """Kill -9 of both roles is audited with the exit code, and new ones take their place."""
    supervisor = serve(rig)
    first = children_of(supervisor)
    for pid in first:
        kill(pid)

    wait_for(lambda: len(rig.events("node.started")) == 5, "both roles have started again")

    deaths = [event for event in rig.events("node.stopped") if event.outcome == "failure"]
    assert [event.detail["exit_code"] for event in deaths] == [-9, -9]
    assert not set(first) & set(children_of(supervisor))
    assert echo(node_of(rig), calling_ae="SCANNER") == Accepted(status=0)


def test_sigterm_drains(rig: Rig) -> None:
    """After SIGTERM no new association is accepted, but the one under way stores its image."""
    supervisor = serve(rig)
    ae = AE("SCANNER")
    ae.add_requested_context(UltrasoundImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", rig.port, ae_title="ECHONODE")
    assert association.is_established

    supervisor.terminate()
    wait_for(lambda: not rig.listening(), "the port is closed")
    answer = association.send_c_store(builders.image_2d())
    association.release()

    assert answer.Status == 0x0000
    assert supervisor.wait(timeout=PATIENCE_S) == 0


def test_sigterm_hands_the_job_back(rig: Rig) -> None:
    """A job of several images is handed back between two of them, to be done by the next start."""
    for number in range(4):
        rig.ingest(builders.image_2d(InstanceNumber=number, ImageComments="slow"))
    worker = rig.role("work")
    wait_for(lambda: rig.events("job.claimed"), "the job is under way")

    worker.terminate()

    assert worker.wait(timeout=PATIENCE_S) == 0
    assert len(rig.events("job.released")) == 1
    rig.role("work")
    wait_for(lambda: rig.delivered() == 8, "the next worker does the job")


def test_a_second_signal_kills(rig: Rig) -> None:
    """Who cannot wait for the drain sends a second SIGTERM: supervisor and children are gone at once."""
    supervisor = serve(rig)
    pids = children_of(supervisor)
    ae = AE("SCANNER")
    ae.add_requested_context(UltrasoundImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", rig.port, ae_title="ECHONODE")
    supervisor.terminate()
    wait_for(lambda: not rig.listening(), "the drain has begun")

    supervisor.terminate()

    assert supervisor.wait(timeout=2) == 1
    wait_for(lambda: not any(alive(pid) for pid in pids), "the children are gone", limit_s=2)
    association.abort()


def test_no_child_survives_its_supervisor(rig: Rig) -> None:
    """When the supervisor is killed, its children notice, drain and leave."""
    supervisor = serve(rig)
    pids = children_of(supervisor)

    supervisor.kill()

    wait_for(lambda: not any(alive(pid) for pid in pids), "the children are gone")
    assert {"receiver", "worker"} == roles(rig, "node.stopped")


def test_a_second_worker_says_why_it_cannot_run(rig: Rig) -> None:
    """A second worker on the same data folder exits with 1 and one line."""
    rig.role("work")
    wait_for(lambda: "worker" in roles(rig, "node.started"), "the first worker runs")

    second = rig.role("work")

    assert second.wait(timeout=PATIENCE_S) == 1
    assert "another worker has the data folder" in (rig.folder / "node.log").read_text()


def test_the_command_receives(rig: Rig) -> None:
    """`echonode serve` itself answers a C-ECHO, whatever becomes of its worker, and stops at a SIGTERM."""
    supervisor = rig.start("-m", "dicom_node.cli.app", "serve", "--config", str(rig.config))
    wait_for(rig.listening, "the receiver listens")

    assert echo(node_of(rig), calling_ae="SCANNER") == Accepted(status=0)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(timeout=PATIENCE_S) == 0


def test_one_process_per_receiver() -> None:
    """`receivers = 3` means three receivers and one worker, all with the same settings file."""
    lines = commands(Settings(node=NodeSettings(receivers=3)), Path("/etc/echonode.toml"))

    assert list(lines) == ["receiver 1", "receiver 2", "receiver 3", "worker"]
    assert all(line[-3:] == ["--watch-stdin", "--config", "/etc/echonode.toml"] for line in lines.values())


def test_restarts_slow_down() -> None:
    """A child that dies at once is started after 0.2, 0.4 … 10 s; after a steady minute, after 0.2 s."""
    delays = [0.0]
    for _ in range(8):
        delays.append(next_delay_s(delays[-1], alive_s=1))

    assert delays[1:] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert next_delay_s(10.0, alive_s=60) == 0.2


def node_of(rig: Rig) -> Destination:
    """Return the node as somebody's destination."""
    return Destination(name="node", ae_title="ECHONODE", host="127.0.0.1", port=rig.port, timeout_s=5)


def alive(pid: int) -> bool:
    """Tell whether the process exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return ") Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
