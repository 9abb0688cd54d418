"""Storage commitment with a real Orthanc, in both directions."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import builders
from support.node import NodeHarness, free_port, receiver, wait_for
from support.orthanc import Orthanc, running_orthanc

from dicom_node.commitment import scp
from dicom_node.commitment.scu import report_due
from dicom_node.network.outcomes import Accepted
from dicom_node.network.scu import Outgoing, send_objects
from dicom_node.settings.sections import PeerSettings


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker report soon after the receiver had its chance."""
    monkeypatch.setattr(scp, "WORKER_TAKES_OVER_S", 1.0)


@pytest.fixture
def port() -> int:
    """Return the port of our receiver, which Orthanc has to know beforehand."""
    return free_port()


@pytest.fixture
def orthanc(tmp_path: Path, port: int) -> Iterator[Orthanc]:
    """Start Orthanc."""
    with running_orthanc(tmp_path / "orthanc", node_port=port) as made:
        yield made


@pytest.fixture
def node(tmp_path: Path, orthanc: Orthanc) -> NodeHarness:
    """Return an outbox that leads to Orthanc; now is now, as for `node`."""
    committing = orthanc.destination.model_copy(update={"commitment": True})
    made = NodeHarness(
        tmp_path,
        committing,
        peers=[PeerSettings(ae_title="ORTHANC", host="127.0.0.1", port=orthanc.dicom_port)],
    )
    made.now = datetime.now(UTC)
    return made


@pytest.fixture
def running(tmp_path: Path, node: NodeHarness, port: int) -> Iterator[NodeHarness]:
    """Start the receiver of the same running."""
    with receiver(tmp_path / "data", destinations=node.runtime.settings.destinations, port=port) as running:
        yield running


@pytest.mark.usefixtures("running")
def test_orthanc_confirms_what_we_sent(node: NodeHarness, orthanc: Orthanc) -> None:
    """Orthanc reports to our receiver on an association of its own, and the rows end COMMITTED."""
    node.add_result(1)
    node.add_result(2, kind="overlay")

    node.deliver()
    node.ask()

    wait_for(lambda: node.deliveries() == {"COMMITTED": 2}, "Orthanc's report")
    assert len(orthanc.files()) == 2


@pytest.mark.usefixtures("running")
def test_orthanc_says_what_it_lost(node: NodeHarness, orthanc: Orthanc) -> None:
    """What somebody deleted there between C-STORE and N-ACTION is sent again."""
    node.add_result(1)
    node.deliver()
    for each in json.loads(orthanc.get("/instances")):
        orthanc.delete(f"/instances/{each}")

    node.ask()

    wait_for(lambda: node.deliveries() == {"PENDING": 1}, "Orthanc's report")
    assert "0x0112" in node.events("delivery.resend")[0].detail["error"]


def test_orthanc_asks_us(node: NodeHarness, running: NodeHarness, orthanc: Orthanc, tmp_path: Path) -> None:
    """Orthanc sends an image with commitment and is told, on an association of ours, that we keep it."""
    image = builders.save(builders.image_2d(), tmp_path / "scan.dcm")
    assert list(send_objects(orthanc.destination, [Outgoing(path=image)], calling_ae="SCANNER")) == [
        Accepted(status=0)
    ]
    ids = json.loads(orthanc.get("/instances"))

    made = orthanc.post("/modalities/node/store", {"Resources": ids, "StorageCommitment": True})
    transaction = made["StorageCommitmentTransactionUID"]
    running.wait_for_event("commitment.requested")

    def told() -> bool:
        node.now = datetime.now(UTC)
        report_due(node.runtime)
        return bool(json.loads(orthanc.get(f"/storage-commitment/{transaction}"))["Status"] == "Success")

    wait_for(told, "Orthanc knows")
    assert len(node.events("commitment.reported")) == 1
