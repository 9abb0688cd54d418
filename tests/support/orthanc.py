"""A real Orthanc on free ports of this machine, for as long as a block runs."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_node.settings.sections import Destination
from support.peers import missing
from support.wait import free_port, wait_for

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """What a test needs of it."""

    http_port: int
    dicom_port: int

    @property
    def destination(self) -> Destination:
        """The settings' entry that leads there."""
        return Destination(name="orthanc", ae_title="ORTHANC", host="127.0.0.1", port=self.dicom_port)

    def get(self, path: str) -> bytes:
        """The answer of its REST interface."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return bytes(answer.read())

    def post(self, path: str, body: object) -> Any:
        """The answer of its REST interface to a POST, parsed."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        request = urllib.request.Request(url, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())

    def delete(self, path: str) -> None:
        """Delete what its REST interface has under a path."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10):
            pass

    def files(self) -> list[bytes]:
        """Every instance it holds, as DICOM files."""
        return [self.get(f"/instances/{each}/file") for each in json.loads(self.get("/instances"))]

    def answers(self) -> bool:
        """True once it is up."""
        try:
            return bool(self.get("/system"))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def running_orthanc(folder: Path, *, node_port: int | None = None) -> Iterator[Orthanc]:
    """Run Orthanc with its files under `folder`; without it the calling test is skipped, or fails.

    With `node_port` it knows a node of ours there, under the name "node".
    """
    if ORTHANC is None:
        missing("Orthanc is not installed")
    made = Orthanc(http_port=free_port(), dicom_port=free_port())
    settings: dict[str, Any] = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": made.http_port,
        "DicomPort": made.dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DefaultEncoding": "Utf8",
    }
    if node_port is not None:
        node = {"AET": "ECHONODE", "Host": "127.0.0.1", "Port": node_port, "AllowStorageCommitment": True}
        settings["DicomModalities"] = {"node": node}
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, str(config)], stdout=log, stderr=log)
    try:
        wait_for(made.answers, "Orthanc answers")
        yield made
    finally:
        process.terminate()
        process.wait(timeout=30)
