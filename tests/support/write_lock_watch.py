"""Finds whatever is slow under the write lock of a database: disk, network, names, processes, waiting.

Python tells an audit hook of most system calls (PEP 578); `os.fsync` is wrapped, because it is none of them.
What the program itself calls inside a write transaction is noted; what a test does there is its own business.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from store.db import write_lock

ROOT = Path(__file__).parents[2]
PRODUCT = tuple(f"{ROOT / name}{os.sep}" for name in ("dicom_node", "store", "inference"))
TESTS = f"{ROOT / 'tests'}{os.sep}"
SLOW = {
    "open",
    "os.link",
    "os.listdir",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.scandir",
    "os.truncate",
    "shutil.copyfile",
    "shutil.move",
    "shutil.rmtree",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyaddr",
    "socket.gethostbyname",
    "socket.sendto",
    "subprocess.Popen",
    "time.sleep",
}
CODE = (".py", ".pyc", ".so")
"""Files that Python opens by itself: a module is imported, or a traceback shows its lines."""

Note = Callable[[str], None]
_found: list[str] = []
_installed = False


def install(note: Note = _found.append) -> None:
    """Watch this process from now on; there is no way back."""
    global _installed  # noqa: PLW0603 - of the process
    if _installed:
        return
    _installed = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in SLOW and write_lock.is_held() and not _is_code(event, arguments):
            _tell(note, f"{event}{arguments!r:.200}")

    sys.addaudithook(hook)
    for name in ("fsync", "fdatasync"):
        setattr(os, name, _watched(getattr(os, name), name, note))


def take() -> list[str]:
    """Return what was found since the last time."""
    found = list(_found)
    _found.clear()
    return found


def _watched(function: Callable[[int], None], name: str, note: Note) -> Callable[[int], None]:
    def watched(descriptor: int) -> None:
        if write_lock.is_held():
            _tell(note, f"os.{name}")
        function(descriptor)

    return watched


def _is_code(event: str, arguments: tuple[Any, ...]) -> bool:
    return event == "open" and str(arguments[0]).endswith(CODE)


def _tell(note: Note, what: str) -> None:
    """Note a call whose nearest caller of this source tree is the program."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the caller of the hook
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PRODUCT):
            note(f"{what} at {Path(name).relative_to(ROOT)}:{frame.f_lineno}")
            return
        if name.startswith(TESTS) and name != __file__:
            return
        frame = frame.f_back
