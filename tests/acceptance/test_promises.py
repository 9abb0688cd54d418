"""Promises in seconds, kept by the real program with the real weights; and results that come home."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import builders
import pytest
from pacs import Pacs
from pusher import image, needs_dcmtk, storescu
from rig import Rig, children_of, kill, wait_for

from dicom_node import identity
from dicom_node.tools.demo.study import LV_SEED
from inference.phantom.dicom import as_dataset
from inference.phantom.strip import make_phantom
from store.db.states import InstanceState

pytestmark = [needs_dcmtk, pytest.mark.timeout(300)]

QUIET_S = 0.5  # of every Rig
LISTENING_AGAIN_S = 5.0
RESULT_AFTER_QUIET_S = 30.0


@pytest.fixture
def rig(tmp_path: Path, pacs: Pacs) -> Iterator[Rig]:
    """Return a node that delivers to the PACS, not started."""
    with closing(Rig(tmp_path, [pacs.destination])) as made:
        yield made


@pytest.mark.alone
def test_listening_again_and_reporting_after_a_kill(rig: Rig, pacs: Pacs) -> None:
    """All killed after the acknowledgement: listening in 5 s, the result within quiet time + 30 s."""
    command = ("-m", "dicom_node.cli.app", "serve", "--config", str(rig.config))
    first = rig.start(*command)
    wait_for(rig.listening, "the node listens")
    assert rig.send(as_dataset(make_phantom(LV_SEED, "LV")))
    for pid in [*children_of(first), first.pid]:
        kill(pid)
    first.wait()
    wait_for(lambda: not rig.listening(), "the killed receiver is gone")

    began = time.monotonic()
    rig.start(*command)
    wait_for(rig.listening, "the node listens again")
    listening_s = time.monotonic() - began
    wait_for(lambda: len(pacs.uids) == 2, "both results are in the PACS", limit_s=120)
    result_s = time.monotonic() - began

    print(f"listening after {listening_s:.1f} s, results after {result_s:.1f} s")
    assert listening_s <= LISTENING_AGAIN_S
    assert result_s <= QUIET_S + RESULT_AFTER_QUIET_S


def test_own_results_come_home_a_thousand_times(rig: Rig, pacs: Pacs) -> None:
    """Two hundred objects of ours, sent back five times each, are taken and make no work at all."""
    own = [
        image(1, number, Manufacturer=identity.MANUFACTURER, ManufacturerModelName=identity.MODEL_NAME)
        for number in range(200)
    ]
    paths = [builders.save(ds, rig.folder / "own" / f"{ds.SOPInstanceUID}.dcm") for ds in own]
    rig.role("receive")
    rig.role("work")
    wait_for(rig.listening, "the node listens")

    assert sum(storescu(rig.port, paths) for _ in range(5)) == 1000

    assert {row.state for row in rig.instances(own[0].StudyInstanceUID).values()} == {InstanceState.OWN}
    assert len(rig.events("instance.received")) == len(own)
    assert len(rig.events("instance.duplicate")) == 4 * len(own)
    assert rig.events("study.receiving") == rig.events("job.queued") == []
    assert pacs.uids == []
