"""Time limits that the real program keeps with the real weights; our own results, sent back, make no work.

The limits are those of the reference machine, see `support.pace`.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import builders
from support.node import PATIENCE_S, NodeHarness, children_of, kill, process_node, wait_for
from support.pace import slowness
from support.pacs import Pacs
from support.peers import needs_dcmtk
from support.pusher import image, storescu

from dicom_node import identity
from dicom_node.tools.demo.study import LV_SEED
from inference.phantom.dicom import as_dataset
from inference.phantom.strip import make_phantom
from store.db.states import InstanceState

pytestmark = [needs_dcmtk, pytest.mark.timeout(300)]

QUIET_S = 0.5  # of every NodeHarness
LISTENING_AGAIN_S = 5.0
RESULT_AFTER_QUIET_S = 30.0


@pytest.fixture
def node(tmp_path: Path, pacs: Pacs) -> Iterator[NodeHarness]:
    """Return a node that delivers to the PACS, not started."""
    with closing(process_node(tmp_path, [pacs.destination])) as made:
        yield made


@pytest.mark.alone
def test_listening_again_and_reporting_after_a_kill(node: NodeHarness, pacs: Pacs) -> None:
    """All killed after the acknowledgement: listening in 5 s, the result within quiet time + 30 s.

    Other tests start the program as forks (see `support.fork_server`); here it is started as a person does.
    """
    command = ("-m", "dicom_node.cli.app", "serve", "--config", str(node.config))
    first = node.start(*command)
    node.wait_until_listening()
    assert node.send(as_dataset(make_phantom(LV_SEED, "LV")))
    for pid in [*children_of(first), first.pid]:
        kill(pid)
    first.wait()
    wait_for(lambda: not node.listening(), "the killed receiver is gone")

    before = slowness()
    began = time.monotonic()
    second = node.start(*command)
    node.wait_until_listening()
    listening_s = time.monotonic() - began
    wait_for(lambda: len(pacs.uids) == 2, "both results are in the PACS", limit_s=120)
    result_s = time.monotonic() - began

    slow = max(before, slowness())
    print(f"listening after {listening_s:.1f} s, results after {result_s:.1f} s, {slow:.1f} times as slow")
    assert listening_s <= LISTENING_AGAIN_S * slow
    assert result_s <= (QUIET_S + RESULT_AFTER_QUIET_S) * slow
    second.terminate()
    assert second.wait(timeout=PATIENCE_S) == 0


def test_own_results_that_are_sent_back_make_no_work(node: NodeHarness, pacs: Pacs) -> None:
    """Fifty objects of ours, sent back four times each, are taken and make no work at all."""
    own = [
        image(1, number, Manufacturer=identity.MANUFACTURER, ManufacturerModelName=identity.MODEL_NAME)
        for number in range(50)
    ]
    paths = [builders.save(ds, node.folder / "own" / f"{ds.SOPInstanceUID}.dcm") for ds in own]
    node.start_role("receive")
    node.start_role("work")
    node.wait_until_listening()

    assert sum(storescu(node.port, paths) for _ in range(4)) == 200

    assert {row.state for row in node.instances(own[0].StudyInstanceUID)} == {InstanceState.OWN}
    assert len(node.events("instance.received")) == len(own)
    assert len(node.events("instance.duplicate")) == 3 * len(own)
    assert node.events("study.receiving") == node.events("job.queued") == []
    assert pacs.uids == []
