"""A seccomp filter that allows the calls of `syscalls` and answers all others with EPERM (Linux).

Allowed is what computing and answering need: memory, threads, time, and descriptors that are open.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dicom_node.study.sandbox.syscalls import ARCHITECTURES, Architecture

# <linux/seccomp.h>, <linux/filter.h>
SET_MODE_FILTER, ALL_THREADS = 1, 1
KILL_PROCESS, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
LOAD_WORD, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16
X32: Final = 0x40000000
"""Numbers from here on belong to another calling convention of x86_64."""
INSTRUCTION: Final = struct.Struct("=HBBI")

CLONE_THREAD: Final = 0x00010000
PRCTL_ALLOWED: Final = (15, 21, 39)
"""PR_SET_NAME, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS."""
FCNTL_ALLOWED: Final = (1, 2, 3, 1030)
"""F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC: not F_SETOWN, by which signals are sent."""


class Unsupported(Exception):
    """This kernel or machine has no such mechanism; the message says what is missing."""


def conditions(pid: int) -> Mapping[str, Sequence[tuple[int, int, int]]]:
    """Return the calls that are allowed with some arguments only.

    Each maps to (argument, comparison, value): allowed if any holds, `prlimit64` if all do. Threads may be
    started but no processes, signals sent to this process alone, limits read but not set.
    """
    return {
        "clone": [(0, IF_ANY_BIT, CLONE_THREAD)],
        "kill": [(0, IF_EQUAL, pid)],
        "tgkill": [(0, IF_EQUAL, pid)],
        "prctl": [(0, IF_EQUAL, value) for value in PRCTL_ALLOWED],
        "fcntl": [(1, IF_EQUAL, value) for value in FCNTL_ALLOWED],
    }


def program(architecture: Architecture, pid: int) -> bytes:
    """Return the filter as instructions of the kernel's packet filter."""
    return b"".join(INSTRUCTION.pack(*each) for each in _instructions(architecture, pid))


def _instructions(architecture: Architecture, pid: int) -> Iterator[tuple[int, int, int, int]]:
    refused = (RETURN, 0, 0, ERRNO | errno.EPERM)
    yield LOAD_WORD, 0, 0, ARCH_AT
    yield IF_EQUAL, 1, 0, architecture.audit_arch
    yield RETURN, 0, 0, KILL_PROCESS
    yield LOAD_WORD, 0, 0, NUMBER_AT
    yield IF_AT_LEAST, 0, 1, X32
    yield refused
    # Its flags are out of a filter's sight; on ENOSYS the C library falls back to clone.
    yield IF_EQUAL, 0, 1, architecture.clone3
    yield RETURN, 0, 0, ERRNO | errno.ENOSYS
    limited = conditions(pid)
    for name, number in architecture.allowed.items():
        body = _limits_read() if name == "prlimit64" else _any_of(limited.get(name, ()))
        yield IF_EQUAL, 0, len(body), number
        yield from body
    yield refused


def _any_of(tests: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Allow if one of the tests holds, or if there are none; else refuse."""
    if not tests:
        return [(RETURN, 0, 0, ALLOW)]
    argument = tests[0][0]
    compared = [
        each for _, comparison, value in tests for each in ((comparison, 0, 1, value), (RETURN, 0, 0, ALLOW))
    ]
    return [(LOAD_WORD, 0, 0, ARGUMENTS_AT + 8 * argument), *compared, (RETURN, 0, 0, ERRNO | errno.EPERM)]


def _limits_read() -> list[tuple[int, int, int, int]]:
    """Allow prlimit64 of this process (argument 0) without new limits (argument 2, a pointer)."""
    words = (ARGUMENTS_AT, ARGUMENTS_AT + 16, ARGUMENTS_AT + 20)
    tests = [
        each
        for at in words
        for each in (
            (LOAD_WORD, 0, 0, at),
            (IF_EQUAL, 1, 0, 0),
            (RETURN, 0, 0, ERRNO | errno.EPERM),
        )
    ]
    return [*tests, (RETURN, 0, 0, ALLOW)]


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install() -> str:
    """Put the filter on every thread of this process, for good; return what it is called.

    no_new_privs must be set, or the process be root.

    Raises:
        Unsupported: another machine, or a kernel without filters.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise Unsupported(f"no seccomp filter for {platform.machine()}")
    code = program(architecture, os.getpid())
    given = _Program(len(code) // INSTRUCTION.size, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(architecture.seccomp, SET_MODE_FILTER, ALL_THREADS, ctypes.byref(given)) != 0:
        raise Unsupported(f"seccomp: {os.strerror(ctypes.get_errno())}")
    return "seccomp"
