"""What an analysis process does once an image has taken it over.

Each deed gets the rest of the image's comment. Those that try to reach something return if they do: then
the image counts as measured.
"""

import ctypes
import json
import os
import pickle
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from inference.errors import PixelDataError

LENGTH = struct.Struct(">Q")


def connection() -> int:
    """Return the descriptor of the socket to the worker, which the null device and the image are not."""
    return next(fd for fd in range(3, 16) if _is_socket(fd))


def _is_socket(fd: int) -> bool:
    try:
        os.write(fd, b"")
    except OSError:
        return False
    return True


def say(data: bytes, *, announced: int | None = None) -> None:
    """Write a frame to the worker."""
    os.write(connection(), LENGTH.pack(len(data) if announced is None else announced) + data)


def stay() -> None:
    """Say nothing more."""
    time.sleep(3600)


def pickles(_: str) -> None:
    """Reply with a pickle that would make a file where it is loaded."""

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch /was-unpickled",)

    say(pickle.dumps(Bomb()))
    stay()


def reply(**answer: object) -> bytes:
    """Return a reply to the first question of this process."""
    return json.dumps({"id": 1, "answer": answer}).encode()


def other(image: str) -> None:
    """Reply with a measurement of another image."""
    say(reply(type="Examined", result=json.loads(image)))
    stay()


def half(_: str) -> None:
    """Announce a frame, send half of it, fall silent."""
    say(b"{" * 500, announced=1000)
    stay()


def drip(_: str) -> None:
    """Announce a frame and send it byte by byte, for ever."""
    say(b"", announced=10_000)
    while True:
        os.write(connection(), b" ")
        time.sleep(0.01)


def huge(_: str) -> None:
    """Announce 4 GiB."""
    say(b"{}", announced=4 << 30)
    stay()


def flood(_: str) -> None:
    """Send replies as fast as it goes, each well-formed."""
    data = reply(type="OutOfMemory")
    frame = (LENGTH.pack(len(data)) + data) * 1000
    while True:
        os.write(connection(), frame)


def unmatched(_: str) -> None:
    """Answer a question that was not asked."""
    say(json.dumps({"id": 7, "answer": {"type": "OutOfMemory"}}).encode())
    stay()


def nan(_: str) -> None:
    """Send a number that is none."""
    say(b'{"id": 1, "answer": {"type": "Failure", "place": NaN}}')
    stay()


def quits(_: str) -> None:
    """End with an exit code."""
    os._exit(3)


def reach(path: str) -> None:
    """Open a file, to read or to write."""
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT):
        _refused(lambda flags=flags: os.open(path, flags), f"open {Path(path).name}")


def connect(port: str) -> None:
    """Make sockets and connect them."""
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", int(port))),
        (socket.AF_UNIX, "/run/x"),
        (socket.AF_INET6, ("::1", int(port))),
    ):
        _refused(lambda family=family, address=address: socket.socket(family).connect(address), "socket")


def memory(pid: str) -> None:
    """Read and trace the worker."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)

    for each in (pid, str(os.getppid()), "1"):
        _refused(lambda each=each: os.open(f"/proc/{each}/mem", os.O_RDWR), "mem")
        _refused(lambda each=each: call("ptrace", 16, int(each), 0, 0), "ptrace")
        _refused(lambda each=each: os.kill(int(each), 0), "kill")


def execute(_: str) -> None:
    """Become a shell, start one, fork, and gain the rights back."""
    for attempt in (
        lambda: os.execv("/bin/sh", ["sh"]),  # noqa: S606 - the point
        os.fork,
        lambda: os.setresuid(0, 0, 0),
        lambda: os.posix_spawn("/bin/sh", ["sh"], {}),
        Path("/made-by-a-child").mkdir,
        Path("/bin/sh").unlink,
        lambda: list(Path("/").iterdir()),
    ):
        _refused(attempt, "execve")


def _refused(attempt: Callable[[], object], what: str) -> None:
    """Return if the attempt succeeds, which is what a test must find out; else say that it was refused."""
    try:
        attempt()
    except PermissionError:
        return
    except OSError as error:
        raise AssertionError(f"{what}: {error}") from None
    Reached.names.append(what)


class Reached:
    """What was reached although it should not."""

    names: list[str] = []  # noqa: RUF012 - of this process


def tries(deed: Callable[[str], None]) -> Callable[[str], None]:
    """Say of a deed that all its attempts were refused; where one was not, go on as if nothing were."""

    def run(argument: str) -> None:
        deed(argument)
        if not Reached.names:
            raise PixelDataError(f"refused: {re.sub('[^a-z]', '', deed.__name__)}")

    return run


DEEDS: Mapping[str, Callable[[str], None]] = {
    "pickles": pickles,
    "other": other,
    "half": half,
    "drip": drip,
    "huge": huge,
    "flood": flood,
    "unmatched": unmatched,
    "nan": nan,
    "quits": quits,
    "reach": tries(reach),
    "connect": tries(connect),
    "memory": tries(memory),
    "execute": tries(execute),
}
