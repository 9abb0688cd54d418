"""How much slower this machine is than the one on which limits in seconds were set.

    python -m support.pace

prints the seconds of the work that is compared: two processes at once, as many as that machine has cores.
"""

import subprocess
import sys
import time

REFERENCE_S = 0.36
"""What `work_s` says on that machine when it has nothing else to do."""
WORK = "sum(number % 7 for number in range(5_000_000))"
TRIES = 2


def work_s() -> float:
    """Return the seconds that a fixed piece of work takes now, the better of two tries."""
    return min(_once() for _ in range(TRIES))


def slowness() -> float:
    """Return by what to multiply a limit in seconds: 1 on the reference machine and on faster ones."""
    return max(1.0, work_s() / REFERENCE_S)


def _once() -> float:
    began_s = time.perf_counter()
    both = [subprocess.Popen([sys.executable, "-S", "-c", WORK]) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    return time.perf_counter() - began_s


if __name__ == "__main__":
    print(f"{work_s():.2f} s")
