"""Trains the landmark network on phantoms: `echonode train landmarks`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.labelled import LabelledStrip, cycle_values
from inference.landmarks import LANDMARK_ORDER, LandmarkNet, locate
from inference.measure import measure
from inference.preprocess import CROP_INPUT, crop, to_unit, whiten
from inference.training.data import (
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    Labelled,
    all_cycles,
    endless,
    phantoms,
    points,
)
from inference.training.optimise import optimise
from inference.training.recipe import Recipe
from inference.training.sampling import range_extended_crop, vary
from inference.types import CycleBox
from inference.weights import WeightsRecord, save_weights

LEARNING_RATE = 1e-3
ALONG, ACROSS = 0.25, 1.0
"""Weight of errors along time and along depth: only depth becomes centimetres."""


def train_landmarks(out: Path, recipe: Recipe) -> WeightsRecord:
    """Renders, fits, validates and writes `landmarks.safetensors` with its record into `out`."""
    torch.manual_seed(recipe.seed)
    network = LandmarkNet()
    fit(network, all_cycles(phantoms(TRAINING_SEEDS, recipe.strips, kind="LV")), recipe)
    held_out = phantoms(VALIDATION_SEEDS, recipe.held_out, kind="LV")
    measured = validate(network, held_out, np.random.default_rng(recipe.seed))
    return save_weights(
        out,
        network.state_dict(),
        network="landmarks",
        version=recipe.version,
        input=CROP_INPUT,
        landmark_order=LANDMARK_ORDER,
        training=recipe.record(),
        measured=measured,
    )


def examples(rng: np.random.Generator, cycles: Sequence[Labelled]) -> tuple[Tensor, Tensor]:
    """Whitened crops (N, 1, H, W) and unit landmarks (N, 8, 2)."""
    crops, targets = [], []
    for strip, cycle in cycles:
        wanted = points(cycle.landmarks_px)
        box = range_extended_crop(rng, cycle.box_px, wanted)
        crops.append(whiten(vary(rng, crop(strip.pixels, box))))
        targets.append(to_unit(wanted, box))
    images = torch.from_numpy(np.stack(crops))[:, None]
    return images, torch.from_numpy(np.stack(targets)).float()


def fit(network: nn.Module, cycles: Sequence[Labelled], recipe: Recipe) -> None:
    """Minimises a smooth L1 distance in crop units."""
    rng = np.random.default_rng(recipe.seed)
    weight = torch.tensor([ALONG, ACROSS])

    def loss_of(chosen: NDArray[np.int64]) -> Tensor:
        images, targets = examples(rng, [cycles[i] for i in chosen])
        distance = nn.functional.smooth_l1_loss(network(images), targets, beta=0.01, reduction="none")
        return (distance * weight).mean()

    optimise(
        network,
        endless(rng, len(cycles), recipe.batch),
        loss_of,
        steps=recipe.steps,
        learning_rate=LEARNING_RATE,
        seeds_of=lambda chosen: [cycles[i][0].seed for i in chosen],
    )


def validate(
    network: nn.Module, strips: Sequence[LabelledStrip], rng: np.random.Generator
) -> dict[str, float]:
    """Root mean square error of every value, boxes shaken as a detector would shake them."""
    network.eval()
    errors: dict[str, list[float]] = {}
    for strip, cycle in all_cycles(strips)[::4]:
        shaken = np.array(cycle.box_px) + rng.normal(0, 0.03, 4) * (cycle.box_px[2] - cycle.box_px[0])
        box = CycleBox(x0=shaken[0], y0=shaken[1], x1=shaken[2], y1=shaken[3], probability=1.0)
        found = locate(network, strip.strip, [box], torch.device("cpu"))[0].mean
        mine = measure(found, strip.calibration, rr_s=(shaken[2] - shaken[0]) * strip.calibration.s_per_px_x)
        truth = cycle_values(strip, cycle)
        for name in truth:
            errors.setdefault(name, []).append(mine[name] - truth[name])
    return {name: float(np.sqrt(np.mean(np.square(e)))) for name, e in errors.items()}
