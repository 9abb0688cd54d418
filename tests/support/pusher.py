"""A scanner that pushes studies with DCMTK and knows which of its images were acknowledged."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from support import builders

ACKNOWLEDGED = "Received Store Response (Success)"


def image(study: int, number: int, **attributes: str) -> FileDataset:
    """Return one image of a study."""
    study_uid = generate_uid(entropy_srcs=["pusher", str(study)])
    return builders.image_2d(StudyInstanceUID=study_uid, InstanceNumber=str(number), **attributes)


def storescu(port: int, paths: Sequence[Path], *options: str) -> int:
    """Send files in order over one association; returns how many were acknowledged."""
    done = subprocess.run(
        ["storescu", "-v", "-aec", "ECHONODE", *options, "127.0.0.1", str(port), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return (done.stdout + done.stderr).count(ACKNOWLEDGED)


class Pusher:
    """Sends each image until it is acknowledged, as a scanner's job queue does."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.acknowledged: list[FileDataset] = []
        self.attempts = 0
        self._folder = folder
        self._waiting: list[tuple[FileDataset, Path]] = []

    def queue(self, ds: FileDataset) -> None:
        """Have one more image to send."""
        self._waiting.append((ds, builders.save(ds, self._folder / f"{ds.SOPInstanceUID}.dcm")))

    def push(self) -> bool:
        """Try once to send everything that waits, in one association; True when nothing waits any more."""
        self.attempts += 1
        sent = storescu(self.port, [path for _, path in self._waiting]) if self._waiting else 0
        self.acknowledged += [ds for ds, _ in self._waiting[:sent]]
        del self._waiting[:sent]
        return not self._waiting
