"""What a process holds: memory, file handles, threads (Linux)."""

from dataclasses import dataclass
from pathlib import Path


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
