"""How a process is told to stop."""

import signal
import subprocess
import sys

import pytest

WAIT = """
import sys, threading
from dicom_node.process.stop_signal import StopSignal
with StopSignal(watch_stdin="watch" in sys.argv) as stop:
    print("ready", flush=True)
    stop.wait()
    print("stopping", flush=True)
    if "linger" in sys.argv:
        threading.Event().wait()
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a process that waits for its stop signal."""
    child = subprocess.Popen(
        [sys.executable, "-c", WAIT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_asks_for_a_drain(number: signal.Signals) -> None:
    """The process sees the request and ends by itself."""
    with start() as child:
        child.send_signal(number)
        output, _ = child.communicate(timeout=20)

    assert (output, child.returncode) == ("stopping\n", 0)


def test_second_signal_kills() -> None:
    """A process that lingers in its drain dies of the second signal."""
    with start("linger") as child:
        child.send_signal(signal.SIGTERM)
        assert child.stdout is not None
        assert child.stdout.readline() == "stopping\n"
        child.send_signal(signal.SIGTERM)

        assert child.wait(timeout=20) == -signal.SIGTERM


def test_end_of_stdin_asks_for_a_drain() -> None:
    """A parent that dies closes the pipe, however it died; the child notices."""
    with start("watch") as child:
        assert child.stdin is not None
        child.stdin.close()

        assert child.wait(timeout=20) == 0


def test_stdin_is_not_watched_unless_asked() -> None:
    """A process started by hand with no input keeps running."""
    with start() as child:
        assert child.stdin is not None
        child.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=0.3)
        child.terminate()
