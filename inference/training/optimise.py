"""The loop both networks are fitted with."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

Batch = TypeVar("Batch")
REPORT_EVERY = 50
WARM_UP = 0.1


def optimise(
    network: nn.Module,
    batches: Iterator[Batch],
    loss_of: Callable[[Batch], Tensor],
    *,
    steps: int,
    learning_rate: float,
    seeds_of: Callable[[Batch], list[int]],
) -> None:
    """AdamW with one warm-up and one decay over `steps` batches.

    Raises:
        ValueError: the loss is not finite; names the phantoms of that batch by their seeds.
    """
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps, pct_start=WARM_UP
    )
    with reporting(steps) as report:
        for step, batch in zip(range(steps), batches, strict=False):
            loss = loss_of(batch)
            if not math.isfinite(loss.item()):
                raise ValueError(f"loss {loss.item()} at step {step} on phantoms {seeds_of(batch)}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            report(step + 1, loss.item())


@contextmanager
def reporting(steps: int) -> Iterator[Callable[[int, float], None]]:
    """A progress bar on a terminal; in a log file a line now and then, with the time left."""
    console, started = Console(), time.monotonic()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=steps)

        def report(step: int, loss: float) -> None:
            progress.update(task, completed=step, description=f"loss {loss:.4f}")
            if not console.is_terminal and step % REPORT_EVERY == 0:
                left_min = (time.monotonic() - started) / step * (steps - step) / 60
                print(f"step {step}/{steps} loss {loss:.4f}, {left_min:.0f} min left", flush=True)  # noqa: T201

        yield report
