"""Detection of network file systems (Linux)."""

import re
from pathlib import Path, PurePosixPath

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_TYPES = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|ncpfs|afs|ceph|lustre|gpfs|glusterfs|gfs2|9p|fuse(\..+)?"
)
"""File system types on which SQLite's locks or shared memory do not work. FUSE: no memory shared between
processes, whatever is behind it; `fuseblk`, a local disk with a foreign file system, does not match."""


def network_type(path: Path, *, mountinfo: str | None = None) -> str | None:
    """Return the file system type of `path` if SQLite may lose data on it, else None.

    `mountinfo` is the text of /proc/pid/mountinfo (proc(5)), read when None. On systems without that
    file the type is unknown and None is returned.
    """
    if mountinfo is None:
        if not MOUNTINFO.exists():
            return None
        mountinfo = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    found = _type_of(PurePosixPath(path.resolve()), mountinfo)
    return found if NETWORK_TYPES.fullmatch(found) else None


def _type_of(path: PurePosixPath, mountinfo: str) -> str:
    """Return the type of the longest mount point above the path; of equal ones the last one counts."""
    best, found = -1, ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        point = PurePosixPath(_unescaped(fields.split()[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), rest.split()[0]
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
