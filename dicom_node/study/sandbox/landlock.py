"""Landlock: a process that gives up opening any path, any TCP port and any signal to others (Linux)."""

import ctypes
import os
import struct
from typing import Final

from dicom_node.study.sandbox.seccomp import Unsupported

CREATE_RULESET, RESTRICT_SELF = 444, 446
"""Numbers of the system calls, the same on every machine."""
VERSION_FLAG: Final = 1
RIGHTS_BY_ABI: Final = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many kinds of access to files each version knows (<linux/landlock.h>)."""
NETWORK_ABI, SCOPE_ABI = 4, 6
BIND_AND_CONNECT, SOCKETS_AND_SIGNALS = 3, 3


def abi() -> int:
    """Return the version of the kernel's interface; 0 where it has none."""
    version = ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, VERSION_FLAG)
    return max(int(version), 0)


def restrict() -> str:
    """Give up everything that this kernel's Landlock knows of, for this thread and those it starts.

    no_new_privs must be set. Returns what it is called.

    Raises:
        Unsupported: the kernel has none, or it is switched off.
    """
    version = abi()
    if version == 0:
        raise Unsupported("the kernel has no Landlock")
    files = (1 << max(bits for least, bits in RIGHTS_BY_ABI.items() if least <= version)) - 1
    rules = struct.pack("=Q", files)
    if version >= NETWORK_ABI:
        rules += struct.pack("=Q", BIND_AND_CONNECT)
    if version >= SCOPE_ABI:
        rules += struct.pack("=Q", SOCKETS_AND_SIGNALS)
    libc = ctypes.CDLL(None, use_errno=True)
    ruleset = libc.syscall(CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        raise Unsupported(f"Landlock: {os.strerror(ctypes.get_errno())}")
    refused = libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    if refused:
        raise Unsupported(f"Landlock: {os.strerror(ctypes.get_errno())}")
    return f"Landlock {version}"
