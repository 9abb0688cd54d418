"""Endless training batches from worker processes: phantoms drawn on demand, mixed with real strips."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from inference.labelled import LabelledStrip
from inference.phantom.strip import make_phantom_in_some_manners
from inference.training.data import TRAINING_SEEDS

Example = TypeVar("Example")
POOL = 160
"""Phantoms that a worker keeps; each gives several examples before it is replaced."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Composition of the training material."""

    reuse: float = 6.0
    """Examples per phantom, on average."""
    real: Sequence[LabelledStrip] = field(default_factory=tuple)
    real_share: float = 0.0
    """Share of the examples from `real`; the rest is from phantoms."""
    phantoms: int = 0
    """Number of different phantoms; 0: unlimited."""
    first_phantom: int = 0


class Batches(IterableDataset[list[Example]], Generic[Example]):
    """Lists of `batch` examples; each worker has its own seeds and random numbers."""

    def __init__(
        self,
        make: Callable[[np.random.Generator, LabelledStrip], Example | None],
        mix: Mix,
        *,
        batch: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.make, self.mix, self.batch, self.seed = make, mix, batch, seed

    def __iter__(self) -> Iterator[list[Example]]:
        """Endless."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        torch.set_num_threads(1)
        rng = np.random.default_rng((self.seed, worker))
        strips = drawn(rng, self.mix, first=worker, stride=workers)
        while True:
            examples: list[Example] = []
            while len(examples) < self.batch:
                example = self.make(rng, next(strips))
                if example is not None:
                    examples.append(example)
            yield examples


def drawn(rng: np.random.Generator, mix: Mix, *, first: int, stride: int) -> Iterator[LabelledStrip]:
    """Random strips from a pool of phantoms that is gradually replaced, and from the real strips."""
    fresh = rendered(mix, first=first, stride=stride)
    pool: list[LabelledStrip] = []
    while True:
        if mix.real and rng.random() < mix.real_share:
            yield mix.real[int(rng.integers(len(mix.real)))]
        elif len(pool) < POOL:
            pool.append(next(fresh))
            yield pool[-1]
        else:
            place = int(rng.integers(POOL))
            if rng.random() < 1 / mix.reuse:
                pool[place] = next(fresh)
            yield pool[place]


def rendered(mix: Mix, *, first: int, stride: int) -> Iterator[LabelledStrip]:
    """Phantoms of consecutive training seeds, of which each worker takes every `stride`-th."""
    number = first
    while True:
        among = number % mix.phantoms if mix.phantoms else number
        yield make_phantom_in_some_manners(TRAINING_SEEDS + mix.first_phantom + among)
        number += stride


def loader(batches: Batches[Example], workers: int) -> Iterator[list[Example]]:
    """The batches, prepared ahead by `workers` processes (0: in this one)."""
    ahead = 4 if workers else None
    return iter(
        DataLoader(batches, batch_size=None, num_workers=workers, prefetch_factor=ahead, collate_fn=as_it_is)
    )


def as_it_is(examples: list[Example]) -> list[Example]:
    """No collation: a batch stays a list."""
    return examples
