"""A receiver in a process of its own, and what that process holds."""

import os
import subprocess
import sys
from pathlib import Path

from dicom_node.settings import Settings
from support.footprint import Footprint, footprint
from support.fork_server import SEARCH_PATH

RUN = """
import sys
from dicom_node.process import logs
from dicom_node.roles.receiver import run_receiver
from dicom_node.settings import Settings
logs.configure(json=True)
settings = Settings.model_validate_json(sys.argv[1])
ready = lambda port: print(port, flush=True)
sys.exit(run_receiver(settings, ready=ready, watch_stdin="--watch-stdin" in sys.argv))
"""


class NodeReceiver:
    """Starts one receiver process that says its port, and looks at it."""

    settings: Settings
    port: int
    popen: "subprocess.Popen[str]"

    def start_receiver(self, *arguments: str, log: Path | None = None) -> None:
        """Start it and wait until it listens.

        What may log a lot needs a file as `log`: nobody empties the pipe.
        """
        command = [sys.executable, "-c", RUN, self.settings.model_dump_json(), *arguments]
        with open(log or os.devnull, "ab") as file:  # noqa: PTH123 - devnull is no Path
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file if log else subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": SEARCH_PATH},
            )
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.communicate()[1]
        self.port = int(line)

    def end_receiver(self) -> None:
        """Kill it if it still runs."""
        with self.popen:
            self.popen.kill()

    def footprint(self) -> Footprint:
        """Return what the receiver process holds now."""
        return footprint(self.popen.pid)
