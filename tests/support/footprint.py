"""What a process holds: memory, file handles, threads (Linux)."""

from dataclasses import dataclass
from pathlib import Path

TIMED_JOB_THREADS = 3
"""A receiver's scheduler starts up to so many threads, each when it is first needed."""
WORKER_TIMED_JOB_THREADS = 16
"""The same of a worker with two destinations."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """A look at /proc/PID."""

    rss_kb: int
    peak_rss_kb: int
    handles: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Look at a process now."""
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":", maxsplit=1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return Footprint(
        rss_kb=int(status["VmRSS"].split()[0]),
        peak_rss_kb=int(status["VmHWM"].split()[0]),
        handles=len(list((process / "fd").iterdir())),
        threads=int(status["Threads"]),
    )
