"""The loop both networks are fitted with: resumable, logged, and kept at its best."""

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
CHECK_EVERY = 250
"""Steps between two looks at the held-out batches, each followed by a checkpoint."""
PATIENCE, LEAST_PATIENCE = 0.75, 12
"""Share of a run's looks, and the number of them, without a better one until it stops early: an update
begins at its best, and is worse until its learning rate falls again."""


@dataclass(frozen=True, kw_only=True)
class Task(Generic[Batch]):
    """What is fitted, on what, and how wrong it is."""

    network: nn.Module
    batches: Iterator[Batch]
    loss_of: Callable[[Batch], Tensor]
    held_out: list[Batch]
    names_of: Callable[[Batch], list[str]]
    """What a person finds the images of a batch by."""
    halves: Callable[[Batch], tuple[Batch, Batch]]
    """A batch in two, for a device that cannot hold it."""


@dataclass(kw_only=True)
class Progress:
    """How far a run has come; what a checkpoint holds."""

    step: int = 0
    found: float = math.inf
    """Loss of the held-out batches at the last look, and the least of all."""
    best: float = math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    stale: int = 0
    """Looks at the held-out batches since the best one."""


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
    """AdamW with one warm-up and one decay over `steps` batches; leaves the network at its best.

    Writes `<name>.csv` and, until done, `<name>.checkpoint.pt` into `out`. Stops early when the
    held-out loss has not improved for `PATIENCE` of the looks at it.

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
    """One batch forth and back; its loss."""
    task.network.train()
    optimizer.zero_grad(set_to_none=True)
    total = backward(task, batch, device, 1.0)
    if not math.isfinite(total):
        raise ValueError(f"loss {total} at step {step} on {', '.join(task.names_of(batch))}")
    torch.nn.utils.clip_grad_norm_(task.network.parameters(), 5.0)
    optimizer.step()
    return total


def backward(task: Task[Batch], batch: Batch, device: torch.device, share: float) -> float:
    """Adds the gradients of a batch; one that does not fit into memory goes in two halves."""
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
    """Looks at the held-out batches and keeps the network if it was never better.

    Only the normalisation is switched to its running figures: a detector tells its losses in training
    mode alone, and the held-out batches must leave no trace in those figures.
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
    """Writes the checkpoint so that a crash leaves the old one or the new one."""
    states = {name: part.state_dict() for name, part in parts.items()}
    fresh = path.with_suffix(".new")
    torch.save({"parts": states, "progress": vars(progress), "random": torch.get_rng_state()}, fresh)
    fresh.replace(path)


def restore(path: Path, parts: dict[str, Any], progress: Progress) -> None:
    """Reads a checkpoint back."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved["parts"][name])
    for name, value in saved["progress"].items():
        setattr(progress, name, value)
    torch.set_rng_state(saved["random"])
