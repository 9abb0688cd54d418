"""Print what it costs to import the receiver: memory and time, the best of five fresh processes.

.venv/bin/python tests/bench/receiver_import.py
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 5
PROGRAM = """
import time
began = time.perf_counter()
import dicom_node.roles.receiver
took_s = time.perf_counter() - began
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(status["VmRSS"].split()[0], took_s)
"""


def main() -> None:
    """Measure and print."""
    measured = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, cwd=ROOT
        )
        measured.append([float(word) for word in done.stdout.split()])
    rss_kb, took_s = (min(column) for column in zip(*measured, strict=True))
    print(f"import dicom_node.roles.receiver: {rss_kb / 1024:.1f} MB resident, {took_s:.2f} s")


if __name__ == "__main__":
    main()
