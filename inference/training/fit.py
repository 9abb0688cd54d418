"""The part of training that both networks share: device, worker processes, loop."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from inference.networks.device import pick_device
from inference.training.optimise import Task, optimise
from inference.training.recipe import Recipe
from inference.training.stream import Batches, loader


class Named(Protocol):
    """An example that says which image it came from."""

    @property
    def name(self) -> str:
        """File name, or kind and seed of a phantom."""


Example = TypeVar("Example", bound=Named)
Network = TypeVar("Network", bound=nn.Module)
LossOf = Callable[[Network, list[Example], torch.device], Tensor]
"""The loss of a network on a device for a batch."""


def fit(
    network: Network,
    recipe: Recipe,
    out: Path,
    *,
    name: str,
    examples: Batches[Example],
    loss_of: LossOf[Network, Example],
    held_out: Sequence[list[Example]],
    learning_rate: float,
) -> None:
    """Minimise the loss over examples made by worker processes; see `optimise`.

    `learning_rate` is for an untrained network; the recipe may name another.
    """
    device = pick_device(recipe.device)
    network.to(device)
    network.to(memory_format=torch.channels_last)
    optimise(
        Task(
            network=network,
            batches=loader(examples, recipe.workers),
            loss_of=lambda batch: loss_of(network, batch, device),
            held_out=list(held_out),
            names_of=lambda batch: [each.name for each in batch],
            halves=lambda batch: (batch[::2], batch[1::2]),
        ),
        steps=recipe.steps,
        learning_rate=recipe.learning_rate or learning_rate,
        device=device,
        out=out,
        name=name,
        resume=recipe.resume,
    )


def in_batches(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """The examples in lists of `size`."""
    return [list(examples[i : i + size]) for i in range(0, len(examples), size)]
