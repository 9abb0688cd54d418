"""A receiver process under signals and crashes: what was acknowledged is there."""

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundImageStorage
from support import builders
from support.node import free_port, receiver_process, settings_for, wait_for
from support.sender import (
    association,
    contexts_of,
    data_set_bytes,
    encoded,
    fragments,
    log_lines,
    paused,
    push,
    status_of_answer,
)

STUDY = builders.STUDY_UID


def image(number: int = 1, rows: int = 64) -> Dataset:
    """Return an ultrasound image of `rows` x 640 x 3 bytes."""
    pixels = np.random.default_rng(number).integers(0, 256, (rows, 640, 3), dtype=np.uint8)
    return builders.us_image(pixels, InstanceNumber=number)


def test_receiver_loads_no_networks(tmp_path: Path) -> None:
    """The receiver process never imports torch, highdicom or the measuring side."""
    with receiver_process(settings_for(tmp_path), REAL_STARTS="1") as node:
        maps = Path(f"/proc/{node.receiver.pid}/maps").read_text(encoding="utf-8")
    code = "import sys, dicom_node.receive; print([m for m in sys.modules if m.split('.')[0] in sys.argv])"
    listed = subprocess.run(
        [os.sys.executable, "-c", code, "torch", "torchvision", "highdicom", "inference"],  # type: ignore[attr-defined]
        check=True,
        capture_output=True,
        text=True,
    )

    assert "torch" not in maps
    assert listed.stdout.strip() == "[]"


def test_sigterm_lets_the_store_in_flight_finish(tmp_path: Path) -> None:
    """SIGTERM in the middle of an object: no new association, this object is stored and answered."""
    ds = image(rows=480)
    with receiver_process(settings_for(tmp_path, drain_seconds=20)) as node:
        with association(node.port, *contexts_of(ds)) as opened, paused(opened):
            about = {"sop_class": UltrasoundImageStorage, "sop_instance": ds.SOPInstanceUID}
            *most, last = fragments(opened, encoded(ds), **about)
            for fragment in most:
                opened.dul.send_pdu(fragment)
            wait_for(lambda: any("incoming" in name for name in node.stored_files()), "bytes in incoming/")
            node.receiver.send_signal(signal.SIGTERM)
            wait_for(lambda: refuses(node.port), "the port to close")
            opened.dul.send_pdu(last)

            assert status_of_answer(opened) == 0x0000
        assert node.receiver.wait(timeout=10) == 0
        assert [row.sop_instance_uid for row in node.instances(STUDY)] == [ds.SOPInstanceUID]
        assert node.events()[-1].event == "node.stopped"


def test_idle_association_is_aborted_when_the_drain_is_over(tmp_path: Path) -> None:
    """A peer that keeps its association open does not keep the process from ending."""
    with receiver_process(settings_for(tmp_path, drain_seconds=0.2)) as node:
        with association(node.port, *contexts_of(image())) as opened:
            node.receiver.send_signal(signal.SIGTERM)

            assert node.receiver.wait(timeout=10) == 0
            wait_for(lambda: opened.is_aborted, "the abort to arrive")
        assert len(node.events("association.aborted")) == 1


def test_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    """An operator in a hurry gets his way."""
    with (
        receiver_process(settings_for(tmp_path, drain_seconds=60)) as node,
        association(node.port, *contexts_of(image())) as opened,
    ):
        node.receiver.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(node.port), "the port to close")
        node.receiver.send_signal(signal.SIGTERM)

        assert node.receiver.wait(timeout=5) == -signal.SIGTERM
        wait_for(lambda: not opened.is_established, "the peer to notice")


def test_receiver_ends_with_its_parent(tmp_path: Path) -> None:
    """Started with --watch-stdin, it drains and ends when the pipe closes."""
    with receiver_process(settings_for(tmp_path), "--watch-stdin") as node:
        node.close_stdin()

        assert node.receiver.wait(timeout=10) == 0


def test_start_that_fails_says_why(tmp_path: Path) -> None:
    """A taken port is one log line in words and exit code 1, not a traceback."""
    with receiver_process(settings_for(tmp_path / "first")) as node:
        settings = settings_for(tmp_path / "second", port=node.port)
        with pytest.raises(AssertionError, match="cannot start"), receiver_process(settings):
            pass


@pytest.mark.parametrize("acknowledged_first", [1, 7, 20])
def test_kill_minus_nine_loses_nothing_acknowledged(acknowledged_first: int, tmp_path: Path) -> None:
    """Killed in the middle of a push and started again: each acknowledged image has its file and its row."""
    settings = settings_for(tmp_path, port=free_port())
    images = [image(number) for number in range(40)]
    acknowledged: list[Dataset] = []

    def send() -> None:
        with association(settings.node.port, *contexts_of(*images)) as opened:
            for ds in images:
                if not opened.is_established or opened.send_c_store(ds).get("Status") != 0x0000:
                    return
                acknowledged.append(ds)

    with receiver_process(settings) as node:
        sender = threading.Thread(target=send)
        sender.start()
        wait_for(lambda: len(acknowledged) >= acknowledged_first, "some images to be acknowledged")
        node.receiver.kill()
        sender.join()
    assert len(acknowledged) < len(images)

    with receiver_process(settings) as node:
        rows = {row.sop_instance_uid: row for row in node.instances(STUDY)}
        for ds in acknowledged:
            assert data_set_bytes(node.data_dir / rows[ds.SOPInstanceUID].path) == encoded(ds)
        assert not [name for name in node.stored_files() if name.startswith("incoming")]
        assert {row.path for row in rows.values()} == set(node.stored_files())
        # The sender comes again with all of them: nothing is doubled, nothing conflicts.
        assert push(node.port, *images) == [0x0000] * len(images)
        assert len(node.instances(STUDY)) == len(images)
        assert node.events("instance.conflict") == []


def test_receivers_share_a_port(tmp_path: Path) -> None:
    """Two processes with `receivers = 2` take turns on one port and one store."""
    settings = settings_for(tmp_path, port=free_port(), receivers=2)
    images = [image(number) for number in range(16)]
    with receiver_process(settings) as first, receiver_process(settings) as second:
        for ds in images:
            assert push(settings.node.port, ds) == [0x0000]

        assert len(first.instances(STUDY)) == len(images)
        for node in (first, second):
            node.receiver.send_signal(signal.SIGTERM)
            assert node.receiver.wait() == 0
        logs = [log_lines(node.receiver_log.read_text()) for node in (first, second)]
        shares = [sum(line["event"] == "instance.received" for line in lines) for lines in logs]
        assert sum(shares) == len(images)
        assert min(shares) > 0


def refuses(port: int) -> bool:
    """Tell whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
