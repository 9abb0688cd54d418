"""Eight scanners send their longest clips at once: the receiver keeps them on disk, not in memory."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import UltrasoundMultiFrameImageStorage, generate_uid
from support import builders
from support.node import receiver_process, settings_for
from support.peers import needs_dcmtk

SENDERS, FRAMES, ROWS, COLUMNS = 8, 100, 480, 640
PIXEL_BYTES = FRAMES * ROWS * COLUMNS * 3
LIMIT_KB = 150_000


def clip(path: Path) -> Path:
    """Make a file of 92 MB that takes no disk: its pixels are a hole."""
    ds: FileDataset = builders.us_image(builders.texture())
    uid = generate_uid()
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
    ds.NumberOfFrames, ds.Rows, ds.Columns = FRAMES, ROWS, COLUMNS
    ds.PixelData = b""
    builders.save(ds, path)
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)  # the length of the pixel data, our last element
        file.write(PIXEL_BYTES.to_bytes(4, "little"))
        file.truncate(file.tell() + PIXEL_BYTES)
    return path


@needs_dcmtk
def test_eight_clips_at_once(tmp_path: Path) -> None:
    """Eight clips of 92 MB from eight DCMTK senders: at no time more than 150 MB in memory."""
    clips = [clip(tmp_path / f"{number}.dcm") for number in range(SENDERS)]
    if shutil.disk_usage(tmp_path).free < 2 * SENDERS * PIXEL_BYTES:
        pytest.skip("not enough room on the disk")
    with receiver_process(settings_for(tmp_path / "node"), log=tmp_path / "log", REAL_STARTS="1") as node:
        idle_kb = node.footprint().rss_kb
        target = ["-aec", "ECHONODE", "127.0.0.1", str(node.port)]
        senders = [subprocess.Popen(["storescu", *target, str(path)]) for path in clips]
        codes = [sender.wait(timeout=200) for sender in senders]
        stored = node.instances(builders.STUDY_UID)
        peak_kb = node.footprint().peak_rss_kb
    shutil.rmtree(tmp_path / "node")

    print(
        f"receiver: {idle_kb / 1000:.0f} MB when idle, at most {peak_kb / 1000:.0f} MB"
        f" with {SENDERS} clips of {PIXEL_BYTES // 10**6} MB"
    )
    assert codes == [0] * SENDERS
    assert len(stored) == SENDERS
    assert peak_kb <= LIMIT_KB
