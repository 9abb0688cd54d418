"""A data folder whose name has every sign that means something in a URL, a format or a shell."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.node import PATIENCE_S, NodeHarness, process_node, wait_for
from support.node_processes import echonode

from dicom_node.tools.demo.study import LV_SEED
from inference.phantom.dicom import as_dataset, phantom_uid
from inference.phantom.strip import make_phantom

pytestmark = pytest.mark.timeout(300)
STUDY_UID = phantom_uid("a study in an odd folder")
NAME = "a %41?b#c ü {data_dir} %s & 'd"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeHarness]:
    """A node that keeps everything in a folder of that name."""
    folder = tmp_path / NAME
    folder.mkdir()
    with closing(process_node(folder)) as made:
        yield made


def test_every_command_in_an_odd_folder(node: NodeHarness) -> None:
    """Check, serve, audit, schedule, backup, restore and measure find the same files there, and no others."""
    assert node.run_command("check").returncode in (0, 1)  # no destination is configured
    serving = node.start_command("serve")
    node.wait_until_listening()
    assert node.send(as_dataset(make_phantom(LV_SEED, "LV"), study_uid=STUDY_UID))
    wait_for(lambda: node.events("study.done"), "the study is analysed", limit_s=3 * PATIENCE_S)

    copy = node.folder / "copy ?.db"
    for words in (
        ("backup", "--out", str(copy)),
        ("audit", "--study", STUDY_UID),
        ("audit", "verify"),
        ("audit", "checkpoint"),
        ("schedule",),
        ("resend", "--dead"),
        ("replay", STUDY_UID),
    ):
        done = node.run_command(*words)
        assert done.returncode == 0, (words, done.stderr)
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(timeout=30) == 0
    assert node.run_command("restore", str(copy)).returncode == 0

    measured = echonode("measure", node.data_dir, "--json")
    assert measured.returncode == 0, measured.stderr
    assert "measured" in {each["status"] for each in json.loads(measured.stdout)["images"]}
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT count(*) FROM instances").fetchone() == (1,)
    assert (node.data_dir / "echonode.db").exists()
    assert [each.name for each in node.folder.parent.iterdir()] == [NAME]
    assert not (node.folder.parent / unquote(NAME)).exists()
