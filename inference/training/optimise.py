"""The training loop of both networks: resumable, logged, ending at the best checkpoint."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from inference.networks.device import training_precision
from inference.training.progress import Log, reporting

Batch = TypeVar("Batch")
WARM_UP = 0.08
"""Share of the steps in which the learning rate rises."""
CHECK_EVERY = 250
"""Steps between two checks of the held-out loss, each followed by a checkpoint."""
PATIENCE, LEAST_PATIENCE = 0.75, 12
"""Training stops after this share of a run's checks without a better one, at least LEAST_PATIENCE
checks: an update starts at its best and only recovers when its learning rate has fallen."""


@dataclass(frozen=True, kw_only=True)
class Task(Generic[Batch]):
    """Network, batches and loss."""

    network: nn.Module
    batches: Iterator[Batch]
    loss_of: Callable[[Batch], Tensor]
    held_out: list[Batch]
    names_of: Callable[[Batch], list[str]]
    """Names of the images of a batch, for error messages."""
    halves: Callable[[Batch], tuple[Batch, Batch]]
    """Splits a batch that does not fit into memory."""


@dataclass(kw_only=True)
class Progress:
    """State of a run, as stored in a checkpoint."""

    step: int = 0
    found: float = math.inf
    best: float = math.inf
    """Held-out loss at the last check, and the least so far."""
    best_state: dict[str, Tensor] = field(default_factory=dict)
    stale: int = 0
    """Checks since the best one."""


def optimise(
    task: Task[Batch],
    *,
    steps: int,
    learning_rate: float,
    device: torch.device,
    out: Path,
    name: str,
    resume: bool = False,
) -> None:
    """Minimise with AdamW over `steps` batches, one warm-up and one decay; ends at the best state.

    Writes `<name>.csv` and, until done, `<name>.checkpoint.pt` into `out`. Stops early, see `PATIENCE`.

    Raises:
        ValueError: the loss is not finite; names the images of that batch.
    """
    optimizer = torch.optim.AdamW(task.network.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps + 1, pct_start=WARM_UP
    )
    progress, checkpoint = Progress(), out / f"{name}.checkpoint.pt"
    patience = max(LEAST_PATIENCE, int(PATIENCE * steps / CHECK_EVERY))
    parts = {"network": task.network, "optimizer": optimizer, "schedule": schedule}
    if resume and checkpoint.is_file():
        restore(checkpoint, parts, progress)
    with reporting(steps, progress.step) as report, Log(out / f"{name}.csv", append=progress.step > 0) as log:
        while progress.step < steps and progress.stale < patience:
            loss = one_step(task, optimizer, next(task.batches), device, progress.step)
            schedule.step()
            progress.step += 1
            report(progress.step, loss)
            if progress.step % CHECK_EVERY == 0 or progress.step == steps:
                check_held_out(task, device, progress)
                log.write(progress.step, loss, progress, float(schedule.get_last_lr()[0]))
                save(checkpoint, parts, progress)
    task.network.load_state_dict(progress.best_state)
    checkpoint.unlink(missing_ok=True)


def one_step(
    task: Task[Batch], optimizer: torch.optim.Optimizer, batch: Batch, device: torch.device, step: int
) -> float:
    """Forward, backward and update for one batch; returns its loss."""
    task.network.train()
    optimizer.zero_grad(set_to_none=True)
    total = backward(task, batch, device, 1.0)
    if not math.isfinite(total):
        raise ValueError(f"loss {total} at step {step} on {', '.join(task.names_of(batch))}")
    torch.nn.utils.clip_grad_norm_(task.network.parameters(), 5.0)
    optimizer.step()
    return total


def backward(task: Task[Batch], batch: Batch, device: torch.device, share: float) -> float:
    """Add the gradients of a batch, in two halves if it does not fit into memory."""
    try:
        with training_precision(device):
            loss = task.loss_of(batch)
        (share * loss).backward()
        return share * float(loss.detach())
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        first, second = task.halves(batch)
    return backward(task, first, device, share / 2) + backward(task, second, device, share / 2)


def check_held_out(task: Task[Batch], device: torch.device, progress: Progress) -> None:
    """Compute the held-out loss, and keep the state if it is the best so far.

    The network stays in training mode, in which alone a detector returns losses; batch normalisation uses
    and keeps its running statistics.
    """
    task.network.train()
    for module in task.network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
            module.eval()
    with torch.no_grad(), training_precision(device):
        losses = [float(task.loss_of(batch)) for batch in task.held_out]
    progress.found = sum(losses) / len(losses)
    progress.stale += 1
    if progress.found < progress.best:
        progress.best, progress.stale = progress.found, 0
        progress.best_state = {k: v.detach().cpu().clone() for k, v in task.network.state_dict().items()}


def save(path: Path, parts: dict[str, Any], progress: Progress) -> None:
    """Write the checkpoint to a new file and rename it, so that a crash leaves the old or the new one."""
    states = {name: part.state_dict() for name, part in parts.items()}
    fresh = path.with_suffix(".new")
    torch.save({"parts": states, "progress": vars(progress), "random": torch.get_rng_state()}, fresh)
    fresh.replace(path)


def restore(path: Path, parts: dict[str, Any], progress: Progress) -> None:
    """Read a checkpoint back."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved["parts"][name])
    for name, value in saved["progress"].items():
        setattr(progress, name, value)
    torch.set_rng_state(saved["random"])
