"""The real node with the real weights between a scanner and a real Orthanc, over days in a minute."""

import io
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from support.node import PATIENCE_S, NodeHarness, children_of, kill, process_node, wait_for
from support.orthanc import Orthanc, running_orthanc

from dicom_node.tools.demo.study import LV_SEED
from inference.phantom.dicom import as_dataset, phantom_uid
from inference.phantom.strip import make_phantom
from store.db.states import DeliveryState

pytestmark = pytest.mark.timeout(300)

STUDY_UID = phantom_uid("a study with a late image")
LATE_SEED = 3_100_008
"""Another phantom that the shipped weights measure."""
LONG_S = 3 * PATIENCE_S


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """A real PACS."""
    with running_orthanc(tmp_path / "orthanc") as made:
        yield made


@pytest.fixture
def node(tmp_path: Path, orthanc: Orthanc) -> Iterator[NodeHarness]:
    """The supervisor with its children, which measure with the shipped weights."""
    (tmp_path / "node").mkdir()
    with closing(process_node(tmp_path / "node", [orthanc.destination])) as made:
        made.start_role("serve", networks=True)
        made.wait_until_listening()
        yield made


def objects(orthanc: Orthanc) -> list[Dataset]:
    """Everything in the PACS."""
    return [dcmread(io.BytesIO(each)) for each in orthanc.files()]


def heart(study_uid: str = STUDY_UID) -> Dataset:
    """One LV image of a study; its picture is one that the shipped weights measure."""
    return as_dataset(make_phantom(LV_SEED, "LV"), study_uid=study_uid)


def test_a_late_image_brings_a_new_revision(node: NodeHarness, orthanc: Orthanc) -> None:
    """The first report is superseded by name, in its own series; nothing else changes in the PACS."""
    first, late = heart(), as_dataset(make_phantom(LATE_SEED, "LV"), study_uid=STUDY_UID)
    late.PatientID = first.PatientID
    assert node.send(first)
    wait_for(lambda: len(orthanc.files()) == 2, "SR and overlay of the first revision", limit_s=LONG_S)
    (old,) = [ds for ds in objects(orthanc) if ds.Modality == "SR"]

    assert node.send(late)
    wait_for(lambda: node.events("study.done")[1:], "the second revision is done", limit_s=LONG_S)
    wait_for(lambda: node.deliveries()[DeliveryState.PENDING] == 0, "all is delivered", limit_s=LONG_S)

    reports = [ds for ds in objects(orthanc) if ds.Modality == "SR"]
    newer = [ds for ds in reports if "PredecessorDocumentsSequence" in ds]
    assert len(newer) == 1
    predecessor = newer[0].PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert newer[0].SeriesInstanceUID == old.SeriesInstanceUID
    assert node.broken_audit_rows() == []


def test_a_killed_worker_and_receiver_lose_and_duplicate_nothing(node: NodeHarness, orthanc: Orthanc) -> None:
    """Both roles are killed right after a study was taken; it still arrives, and once."""
    supervisor = node.processes[0]
    image = heart(phantom_uid("killed"))
    wait_for(lambda: node.send(image), "the scanner's image is taken")
    for child in children_of(supervisor):
        kill(child)

    wait_for(lambda: node.delivered() == 2, "SR and overlay are delivered", limit_s=LONG_S)
    supervisor.send_signal(signal.SIGTERM)

    assert supervisor.wait(timeout=PATIENCE_S) == 0
    assert len(orthanc.files()) == 2
    assert node.broken_audit_rows() == []
