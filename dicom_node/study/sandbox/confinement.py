"""Before the first byte of a stranger's file, the process gives up what it does not need, and tries it.

What a kernel lacks is left out; `reachable` tells what could still be done.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from dicom_node.study.sandbox import landlock, seccomp
from dicom_node.study.sandbox.seccomp import Unsupported

# <sys/prctl.h>
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 1, 4, 38, 39
NOBODY: Final = 65_534
"""User and group of whoever has no rights; no file of the node is theirs."""
CPU_PER_IMAGE_LIMIT: Final = 60
"""Processor time of one process, in time limits of an image on every core; after that it is replaced."""
MOST_DESCRIPTORS: Final = 16
NULL = "/dev/null"


def close_inherited(keep: int) -> None:
    """Close every descriptor but one; the standard streams become the null device."""
    null = os.open(NULL, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.closerange(3, keep)
    os.closerange(keep + 1, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16))


def confine(*, memory_bytes: int, image_timeout_s: float) -> list[str]:
    """Give up everything, for good; return the mechanisms in force.

    Args:
        memory_bytes: how much more memory than now this process may use.
        image_timeout_s: the time limit of one image.
    """
    limit(memory_bytes, image_timeout_s)
    if sys.platform != "linux":
        return []
    held = ["a user without rights"] if become_nobody() else []
    die_with_the_parent()  # a change of user undoes that
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    for mechanism in (landlock.restrict, seccomp.install):
        with suppress(Unsupported):
            held.append(mechanism())
    return held


def limit(memory_bytes: int, image_timeout_s: float) -> None:
    """Set the limits of memory (Linux), processor time, descriptors, size of files and core files."""
    seconds = int(image_timeout_s * CPU_PER_IMAGE_LIMIT * (os.cpu_count() or 1)) + 1
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_NOFILE: MOST_DESCRIPTORS,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,  # it would contain the image
    }
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory_bytes
    for each, most in limits.items():
        hard = resource.getrlimit(each)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(each, (value, value))


def become_nobody() -> bool:
    """Change to a user without rights, if this is root; tell whether it is root no more."""
    if os.getuid() == 0:
        with suppress(OSError):  # a container without the capability
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    return os.getuid() != 0


def die_with_the_parent() -> None:
    """Let the kernel kill this process when its parent ends, even inside a decoder (Linux)."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def prctl(option: int, value: int) -> int:
    """Ask the kernel for an operation on this process."""
    return int(ctypes.CDLL(None).prctl(option, value, 0, 0, 0))


def _opens_files() -> object:
    for path in ("/", sys.executable):
        with suppress(PermissionError):
            return os.open(path, os.O_RDONLY)
    raise PermissionError


def _makes_sockets() -> object:
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        with suppress(PermissionError):
            return socket.socket(family)
    raise PermissionError


def _executes() -> object:
    with suppress(FileNotFoundError):  # it was looked for
        os.execv("/nonexistent/program", ["program"])  # noqa: S606 - to learn whether it may
    return None


def _forks() -> object:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)


def _signals() -> object:
    os.kill(os.getppid(), 0)
    return None


def _reads_memory() -> object:
    """Read a byte of the parent at an address where nothing is; EFAULT says that it was allowed to look."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, there = (
        (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(1)), 1),
        (ctypes.c_size_t * 2)(0, 1),
    )
    if libc.process_vm_readv(os.getppid(), here, 1, there, 1, 0) < 0 and ctypes.get_errno() == 1:
        raise PermissionError
    return None


def _gains_privileges() -> object:
    if sys.platform == "linux" and prctl(PR_GET_NO_NEW_PRIVS, 0) == 1:
        raise PermissionError
    return None


def _is_root() -> object:
    if os.getuid() != 0:
        raise PermissionError
    return None


def _is_unlimited() -> object:
    limits = (resource.RLIMIT_AS, resource.RLIMIT_CPU)
    if all(resource.getrlimit(each)[0] != resource.RLIM_INFINITY for each in limits):
        raise PermissionError
    return None


PROMISES: Final[Mapping[str, Callable[[], object]]] = {
    "open files": _opens_files,
    "reach the network": _makes_sockets,
    "start programs": _executes,
    "start processes": _forks,
    "signal other processes": _signals,
    "read other processes": _reads_memory,
    "gain privileges": _gains_privileges,
    "act as root": _is_root,
    "use memory or processor without limit": _is_unlimited,
}
"""What an analysis process can not do, each with an attempt that raises PermissionError as it should."""


def reachable() -> list[str]:
    """Try everything that was given up; return what can still be done."""
    return [name for name, attempt in PROMISES.items() if not _refused(attempt)]


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    except (OSError, AttributeError):  # another error says nothing
        return False
    return False
