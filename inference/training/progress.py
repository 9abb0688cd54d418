"""Progress bar and CSV log of a training run."""

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

REPORT_EVERY = 50


class HeldOutLoss(Protocol):
    """The last held-out loss and the least so far."""

    best: float
    found: float


@contextmanager
def reporting(steps: int, done: int = 0) -> Iterator[Callable[[int, float], None]]:
    """A progress bar on a terminal; otherwise a line every `REPORT_EVERY` steps with the time left."""
    console, started = Console(), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=steps, completed=done)

        def report(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"loss {loss:.4f}")
            if not console.is_terminal and step % REPORT_EVERY == 0:
                left_min = (time.monotonic() - started) / (step - done) * (steps - step) / 60
                print(f"step {step}/{steps} loss {loss:.4f}, {left_min:.0f} min left", flush=True)  # noqa: T201

        yield report


class Log:
    """CSV file with one row per check of the held-out loss."""

    COLUMNS = ("step", "loss", "held_out_loss", "best", "learning_rate", "seconds")

    def __init__(self, path: Path, *, append: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        self.file = path.open("a" if append else "w", newline="", encoding="utf-8")
        self.rows: Any = csv.writer(self.file)
        if not append:
            self.rows.writerow(self.COLUMNS)

    def write(self, step: int, loss: float, held_out: HeldOutLoss, learning_rate: float) -> None:
        """Append a row and flush it."""
        seconds = time.monotonic() - self.started
        numbers = (loss, held_out.found, held_out.best, learning_rate)
        self.rows.writerow([step, *(f"{number:.6g}" for number in numbers), f"{seconds:.0f}"])
        self.file.flush()

    def __enter__(self) -> Self:
        """The open log."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self.file.close()
