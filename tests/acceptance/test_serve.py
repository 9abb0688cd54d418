"""Both roles under one supervisor: restarted when they die, drained when told to stop."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage
from pynetdicom import AE
from support import builders
from support.node import PATIENCE_S, NodeHarness, children_of, kill, process_node, wait_for
from support.node_processes import Started
from support.pacs import Pacs

from dicom_node.network.outcomes import Accepted
from dicom_node.network.scu import echo
from dicom_node.roles.children import commands, next_delay_s
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination, NodeSettings

DRAIN_S = 10.0  # of every process_node: so long an association may go on after the first signal


@pytest.fixture
def node(tmp_path: Path, pacs: Pacs) -> Iterator[NodeHarness]:
    """Return a node that delivers to the PACS, not started."""
    made = process_node(tmp_path, [pacs.destination])
    yield made
    made.close()


def serve(node: NodeHarness) -> Started:
    """Start the supervisor and wait until both roles say that they have started."""
    supervisor = node.start_role("serve")
    wait_for(lambda: {"receiver", "worker"} <= roles(node, "node.started"), "both roles have started")
    return supervisor


def roles(node: NodeHarness, event: str) -> set[str]:
    """Return the roles of which the audit log has that event."""
    return {str(each.detail["role"]) for each in node.events(event)}


def test_image_in_result_out(node: NodeHarness, pacs: Pacs) -> None:
    """What is pushed to the node comes out at the PACS as SR and overlay, and SIGTERM ends with exit 0."""
    supervisor = serve(node)
    assert node.send(builders.image_2d())

    wait_for(lambda: node.delivered() == 2, "SR and overlay are delivered")
    supervisor.terminate()

    assert supervisor.wait(timeout=PATIENCE_S) == 0
    assert len(pacs.uids) == 2
    assert {"receiver", "worker", "supervisor"} == roles(node, "node.stopped")


def test_dead_children_are_started_again(node: NodeHarness) -> None:
    """Kill -9 of both roles is audited with the exit code, and new ones take their place."""
    supervisor = serve(node)
    first = children_of(supervisor)
    for pid in first:
        kill(pid)

    wait_for(lambda: len(node.events("node.started")) == 5, "both roles have started again")

    deaths = [event for event in node.events("node.stopped") if event.outcome == "failure"]
    assert [event.detail["exit_code"] for event in deaths] == [-9, -9]
    assert not set(first) & set(children_of(supervisor))
    assert echo(node_of(node), calling_ae="SCANNER") == Accepted(status=0)


def test_sigterm_drains(node: NodeHarness) -> None:
    """After SIGTERM no new association is accepted, but the one under way stores its image."""
    supervisor = serve(node)
    ae = AE("SCANNER")
    ae.add_requested_context(UltrasoundImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port, ae_title="ECHONODE")
    assert association.is_established

    supervisor.terminate()
    wait_for(lambda: not node.listening(), "the port is closed")
    answer = association.send_c_store(builders.image_2d())
    association.release()

    assert answer.Status == 0x0000
    assert supervisor.wait(timeout=PATIENCE_S) == 0


def test_sigterm_hands_the_job_back(node: NodeHarness) -> None:
    """A job of several images is released between two of them, to be done by the next start."""
    for number in range(4):
        node.receive(builders.image_2d(InstanceNumber=number, ImageComments="slow"))
    worker = node.start_role("work")
    wait_for(lambda: node.events("job.claimed"), "the job is under way")

    worker.terminate()

    assert worker.wait(timeout=PATIENCE_S) == 0
    assert len(node.events("job.released")) == 1
    node.start_role("work")
    wait_for(lambda: node.delivered() == 8, "the next worker does the job")


def test_a_second_signal_kills(node: NodeHarness) -> None:
    """Who cannot wait for the drain sends a second SIGTERM: supervisor and children are gone at once."""
    supervisor = serve(node)
    pids = children_of(supervisor)
    ae = AE("SCANNER")
    ae.add_requested_context(UltrasoundImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port, ae_title="ECHONODE")
    supervisor.terminate()
    wait_for(lambda: not node.listening(), "the drain has begun")

    supervisor.terminate()

    assert supervisor.wait(timeout=DRAIN_S / 2) == 1
    wait_for(lambda: not any(alive(pid) for pid in pids), "the children are gone", limit_s=DRAIN_S / 2)
    association.abort()


def test_no_child_survives_its_supervisor(node: NodeHarness) -> None:
    """When the supervisor is killed, its children notice, drain and leave."""
    supervisor = serve(node)
    pids = children_of(supervisor)

    supervisor.kill()

    wait_for(lambda: not any(alive(pid) for pid in pids), "the children are gone")
    assert {"receiver", "worker"} == roles(node, "node.stopped")


def test_a_second_worker_says_why_it_cannot_run(node: NodeHarness) -> None:
    """A second worker on the same data folder exits with 1 and one line."""
    node.start_role("work")
    wait_for(lambda: "worker" in roles(node, "node.started"), "the first worker runs")

    second = node.start_role("work")

    assert second.wait(timeout=PATIENCE_S) == 1
    assert "another worker has the data folder" in (node.log).read_text()


def test_the_command_receives(node: NodeHarness) -> None:
    """`echonode serve` itself answers a C-ECHO, whatever becomes of its worker, and stops at a SIGTERM."""
    supervisor = node.start_command("serve")
    node.wait_until_listening()

    assert echo(node_of(node), calling_ae="SCANNER") == Accepted(status=0)
    supervisor.send_signal(signal.SIGTERM)
    # The worker ends once it has loaded its networks.
    assert supervisor.wait(timeout=3 * PATIENCE_S) == 0


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


def node_of(node: NodeHarness) -> Destination:
    """Return the node as somebody's destination."""
    return Destination(name="node", ae_title="ECHONODE", host="127.0.0.1", port=node.port, timeout_s=5)


def alive(pid: int) -> bool:
    """Tell whether the process exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return ") Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
