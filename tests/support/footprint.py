"""What a process holds: memory, file handles, threads (Linux)."""

from dataclasses import dataclass
from pathlib import Path

TIMED_JOB_THREADS = 3
"""A receiver's scheduler starts up to so many threads, each when it is first needed."""
WORKER_TIMED_JOB_THREADS = 16
"""The same of a worker with two destinations."""
DATABASE_HANDLES = 2 * (1 + 5) + 1 + 20
"""The most that a database keeps open: file and log of its writer and five readers, shared memory, overflow.

A reader in excess of five is closed, but SQLite keeps its file open until this process holds no lock on it,
for the next such reader. So one more stays open when more threads than ever before read at the same moment.
"""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """A look at /proc/PID."""

    rss_kb: int
    peak_rss_kb: int
    handles: int
    """Open files and sockets, but for those of the database."""
    database_handles: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Look at a process now."""
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", maxsplit=1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    opened = [_target(handle) for handle in (process / "fd").iterdir()]
    of_database = sum(".db" in Path(target).name for target in opened)
    return Footprint(
        rss_kb=int(status["VmRSS"].split()[0]),
        peak_rss_kb=int(status["VmHWM"].split()[0]),
        handles=len(opened) - of_database,
        database_handles=of_database,
        threads=int(status["Threads"]),
    )


def _target(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""
