"""Phantoms by range of seeds, and the strips of real data sets."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.labelled import CycleTruth, LabelledStrip
from inference.phantom.strip import Phantom, make_phantom_in_some_manners
from inference.training.datasets.read import read_dataset
from inference.types import Landmarks

TRAINING_SEEDS = 1_000_000
VALIDATION_SEEDS = 2_000_000
TEST_SEEDS = 3_000_000
"""First seeds of three ranges that do not overlap."""


def phantoms(first_seed: int, count: int, *, kind: str | None = None, workers: int = 2) -> list[Phantom]:
    """Phantoms of consecutive seeds in some manners, drawn by `workers` processes, in order of seed."""
    seeds = range(first_seed, first_seed + count)
    with ProcessPoolExecutor(workers) as pool:
        rendered = pool.map(partial(make_phantom_in_some_manners, kind=kind), seeds, chunksize=16)
        return list(rendered)


Labelled = tuple[LabelledStrip, CycleTruth]
"""A cycle and its strip."""


def points(landmarks: Landmarks) -> NDArray[np.float64]:
    """(8, 2) pixels in `LANDMARK_ORDER`."""
    return np.array([*landmarks.diastole, *landmarks.systole])


def real_strips(folders: Sequence[Path]) -> list[LabelledStrip]:
    """The strips of all `folders`."""
    return [strip for folder in folders for strip in read_dataset(folder)]


def all_cycles(strips: Sequence[LabelledStrip]) -> list[Labelled]:
    """Every labelled cycle with its strip."""
    return [(strip, cycle) for strip in strips for cycle in strip.cycles]
