"""Print what things cost with 10^3 to 10^6 studies behind the node: `make bench-growth`.

SIZES=1000,10000 chooses the archives, BACKLOGS=1000,100000 the numbers of waiting deliveries, BENCH_DIR keeps
the archives from one call to the next, JSON=1 prints one JSON document. See README.md beside this file.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench import archive
from bench.backlog import Drained, drained
from bench.costs import LISTENING, Cost, costs_of

SIZES = [int(size) for size in os.environ.get("SIZES", "1000,10000,100000,1000000").split(",")]
BACKLOGS = [int(size) for size in os.environ.get("BACKLOGS", "1000,10000,100000").split(",") if size]
LIMIT = 1.2
"""Between the smallest archive and the largest."""
LISTENING_LIMIT_S = 5.0
NOISE_S = 0.0005
"""What differs by less is the machine's doing; the steps of SQLite tell."""

Table = Mapping[str, Mapping[int, Cost]]


def main() -> int:
    """Measure, print, and return 1 if something grows."""
    made: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="echonode-growth-") as scratch:
        folder = Path(os.environ.get("BENCH_DIR", scratch))
        archives = {size: folder / str(size) for size in SIZES}
        for size, each in archives.items():
            made[size] = prepared(each, size)
        table = costs_of(archives)
        backlogs = {size: drained(Path(scratch) / f"backlog {size}", size) for size in BACKLOGS}
    grows = [name for name, costs in table.items() if is_growing(name, costs)]
    if os.environ.get("JSON"):
        print(json.dumps(document(table, made, backlogs, grows), indent=2))
    else:
        show(table, made, backlogs, grows)
    return 1 if grows else 0


def prepared(folder: Path, size: int) -> dict[str, float]:
    """Make an archive, unless it is there; return how long that took and how large it is."""
    path, record = folder / "echonode.db", folder / "made.json"
    if not record.exists():
        say(f"making {size} studies")
        took = archive.make_and_migrate(path, size)
        record.write_text(json.dumps({**took, "megabytes": path.stat().st_size / 1e6}))
    found: dict[str, float] = json.loads(record.read_text())
    return found


def growth(costs: Mapping[int, Cost]) -> tuple[float, float]:
    """Return how much more the largest archive costs than the smallest, in time and in steps of SQLite.

    Of median and best the one that differs less: what the machine does besides moves one of them.
    """
    first, last = costs[min(costs)], costs[max(costs)]
    in_time = min(last.seconds / first.seconds, last.best_s / first.best_s)
    return in_time, last.steps / max(first.steps, 1)


def is_growing(name: str, costs: Mapping[int, Cost]) -> bool:
    """Tell whether a cost grows by more than `LIMIT`, in steps, or in time beyond the noise."""
    in_time, in_steps = growth(costs)
    first, last = costs[min(costs)], costs[max(costs)]
    if name == LISTENING:
        return last.best_s > LISTENING_LIMIT_S
    return in_steps > LIMIT or (in_time > LIMIT and last.best_s - first.best_s > NOISE_S)


def document(
    table: Table, made: Mapping[int, object], backlogs: Mapping[int, Drained], grows: list[str]
) -> dict[str, object]:
    """Return everything as JSON values."""
    return {
        "made": {str(size): took for size, took in made.items()},
        "costs": {
            name: {
                **{
                    str(size): {"ms": cost.seconds * 1000, "best_ms": cost.best_s * 1000, "steps": cost.steps}
                    for size, cost in costs.items()
                },
                "growth": dict(zip(("time", "steps"), growth(costs), strict=True)),
            }
            for name, costs in table.items()
        },
        "backlogs": {str(size): vars(each) for size, each in backlogs.items()},
        "grows": grows,
    }


def show(
    table: Table, made: Mapping[int, Mapping[str, float]], backlogs: Mapping[int, Drained], grows: list[str]
) -> None:
    """Print the tables."""
    print(f"{'milliseconds (steps of SQLite)':<44}" + "".join(f"{size:>18,}" for size in SIZES), "   growth")
    for name, costs in table.items():
        cells = "".join(f"{costs[size].seconds * 1000:>9.2f} ({costs[size].steps:>6})" for size in SIZES)
        in_time, in_steps = growth(costs)
        print(f"{name:<44}{cells}   {in_time:.2f} ({in_steps:.2f}){'  GROWS' if name in grows else ''}")
    for size, took in made.items():
        print(f"made {size:,} studies: " + ", ".join(f"{key} {value:.1f}" for key, value in took.items()))
    for size, each in backlogs.items():
        print(
            f"a backlog of {size:,} deliveries: {each.ms_each:.3f} ms and {each.steps_each:.0f} steps each"
            f" ({each.deliveries} drained)"
        )


def say(what: str) -> None:
    """Tell whoever waits, beside the table."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
