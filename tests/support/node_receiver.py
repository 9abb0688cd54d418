"""A receiver in a process of its own, and what that process holds."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from dicom_node.settings import Settings
from support.footprint import Footprint, footprint
from support.fork_server import ForkedProcess, fork_server
from support.wait import wait_for


class NodeReceiver:
    """Starts one receiver process that says its port, and looks at it."""

    settings: Settings
    port: int
    receiver: ForkedProcess
    receiver_log: Path
    _stdin: int
    _streams: Path

    def start_receiver(self, *arguments: str, log: Path | None = None, **environment: str) -> None:
        """Start it and wait until it listens; its log goes to a file."""
        # Not in the data folder's neighbourhood, which may be a disk that is full.
        self._streams = Path(mkdtemp(prefix="receiver"))
        said, pipe = self._streams / "out", self._streams / "in"
        self.receiver_log = log or self._streams / "log"
        os.mkfifo(pipe)
        self._stdin = os.open(pipe, os.O_RDWR)
        words = ["support.run_receiver", self.settings.model_dump_json(), *arguments]
        self.receiver = fork_server().start(
            words, stdin=str(pipe), stdout=said, stderr=self.receiver_log, environment=environment
        )
        wait_for(lambda: self.receiver.poll() is not None or _text(said), "the receiver listens or ends")
        assert _text(said), self.receiver_log.read_text()
        self.port = int(_text(said))

    def close_stdin(self) -> None:
        """Let it read the end of its standard input, as when its parent dies."""
        os.close(self._stdin)
        self._stdin = -1

    def end_receiver(self) -> None:
        """Kill it if it still runs."""
        if self._stdin >= 0:
            self.close_stdin()
        self.receiver.kill()
        self.receiver.wait()
        shutil.rmtree(self._streams)

    def footprint(self) -> Footprint:
        """Return what the receiver process holds now."""
        return footprint(self.receiver.pid)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
