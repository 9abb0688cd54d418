"""On what kind of file system a path lies (Linux)."""

import re
from pathlib import Path, PurePosixPath

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_TYPES = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|ncpfs|afs|ceph|lustre|gpfs|glusterfs|gfs2|9p|fuse(\..+)?"
)
"""SQLite's locks or its shared memory do not work there. FUSE: whatever is behind it, memory is not shared
between processes; a local disk of another system (`fuseblk`) is none of these."""


def network_type(path: Path, *, mountinfo: str | None = None) -> str | None:
    """Name the file system of `path` when SQLite cannot be trusted with it; None when it can.

    `mountinfo` is the text of proc(5) /proc/pid/mountinfo; without one, on other systems than Linux,
    nothing is known and None returned.
    """
    if mountinfo is None:
        if not MOUNTINFO.exists():
            return None
        mountinfo = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    found = _type_of(PurePosixPath(path.resolve()), mountinfo)
    return found if NETWORK_TYPES.fullmatch(found) else None


def _type_of(path: PurePosixPath, mountinfo: str) -> str:
    """The type of the longest mount point above the path; of equal ones the last, which hides the others."""
    best, found = -1, ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        point = PurePosixPath(_unescaped(fields.split()[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), rest.split()[0]
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
