"""Training of the landmark network: `echonode train landmarks`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.labelled import CycleTruth, LabelledStrip, cycle_values
from inference.measure.formulas import measure
from inference.networks.device import use_all_cores
from inference.networks.landmarks import build_landmark_net, locate, with_context
from inference.networks.preprocessing import CROP_INPUT, CROP_SIZE_PX, Box, crop, to_unit, whiten
from inference.networks.weights import WeightsRecord, load_weights, save_weights
from inference.training.data import VALIDATION_SEEDS, all_cycles, phantoms, points, real_strips
from inference.training.fit import fit, in_batches
from inference.training.hard_negatives import HardNegatives
from inference.training.losses import Targets, landmark_loss
from inference.training.recipe import Recipe
from inference.training.sampling import jittered, range_extended_crop, vary
from inference.training.stream import Batches
from inference.types import LANDMARK_ORDER, CycleBox

LEARNING_RATE = 1.5e-3
REUSE = 6.0
"""Examples per phantom, on average; a strip has several beats, and each has many crops."""
TRACED = CROP_SIZE_PX[1] // 2
"""Columns of a crop at which the borders are predicted."""
OTHERS_KEPT = 0.8
"""Share of the look-alikes that become examples."""
HELD_OUT_STRIPS = 192
"""Validation phantoms checked during training, out of `Recipe.held_out`."""


class Example(NamedTuple):
    """One whitened crop (H, W) float16 with points (8, 2) and walls (4, TRACED), 0…1 in the crop.

    Points and walls are NaN on a look-alike.
    """

    name: str
    crop: NDArray[np.float16]
    points: NDArray[np.float32]
    walls: NDArray[np.float32]


Maker = Callable[[np.random.Generator, LabelledStrip], Example | None]
"""Makes one example of a strip; None if the strip is skipped."""


def train_landmarks(out: Path, recipe: Recipe, head: str) -> WeightsRecord:
    """Fit, validate and write `landmarks.safetensors` with its record into `out`."""
    torch.manual_seed(recipe.seed)
    use_all_cores()
    known = load_weights(recipe.update, "landmarks", CROP_INPUT) if recipe.update else None
    head = known[1].head if known else head
    network = build_landmark_net(head)
    if known is not None:
        network.load_state_dict(known[0])
    hard_negatives = HardNegatives(recipe.detector)
    make = partial(example, hard_negatives=hard_negatives)
    fit(
        network,
        recipe,
        out,
        name="landmarks",
        examples=material(recipe, make),
        loss_of=loss_of,
        held_out=held_out_batches(recipe, make),
        learning_rate=LEARNING_RATE,
    )
    held_out = phantoms(VALIDATION_SEEDS, recipe.held_out, kind="LV")
    measured = validate(network.eval(), held_out, np.random.default_rng(recipe.seed))
    return save_weights(
        out,
        network.state_dict(),
        network="landmarks",
        head=head,
        version=recipe.version,
        input=CROP_INPUT,
        landmark_order=LANDMARK_ORDER,
        training={**recipe.record(known[1] if known else None), "mistakes_of": hard_negatives.sha256},
        measured=measured,
    )


def material(recipe: Recipe, make: Maker) -> Batches[Example]:
    """Endless batches of phantoms, mixed with real strips if there are any."""
    mix = recipe.mix(real_strips(recipe.data), reuse=REUSE)
    return Batches(make, mix, batch=recipe.batch, seed=recipe.stream_seed)


def loss_of(network: nn.Module, batch: list[Example], device: torch.device) -> Tensor:
    """See `landmark_loss`."""
    crops, targets = collate(batch)
    crops = crops.to(device, memory_format=torch.channels_last)
    return landmark_loss(network(crops), targets.to(device))


def held_out_batches(recipe: Recipe, make: Maker) -> list[list[Example]]:
    """Batches of the validation seeds, the same for every run with the same seed."""
    rng = np.random.default_rng(recipe.seed)
    strips = phantoms(VALIDATION_SEEDS, min(HELD_OUT_STRIPS, recipe.held_out))
    made = [make(rng, strip) for strip in strips for _ in range(2)]
    return in_batches([one for one in made if one is not None], recipe.batch)


def example(rng: np.random.Generator, strip: LabelledStrip, hard_negatives: HardNegatives) -> Example | None:
    """One crop of a random cycle or of a hard negative; None if the strip is skipped."""
    if strip.cycles:
        cycle = strip.cycles[int(rng.integers(len(strip.cycles)))]
        landmarks = points(cycle.landmarks_px)
        box = range_extended_crop(rng, with_context(jittered(rng, cycle.box_px)), landmarks)
        unit, walls = to_unit(landmarks, box), traced(strip, cycle, box)
    elif strip.is_lv or rng.random() > OTHERS_KEPT:
        return None
    else:
        box = with_context(hard_negatives(rng, strip))
        unit, walls = np.full((8, 2), np.nan), np.full((4, TRACED), np.nan)
    pixels = whiten(vary(rng, crop(strip.pixels, box)))
    return Example(strip.name, pixels.astype(np.float16), unit.astype(np.float32), walls.astype(np.float32))


def traced(strip: LabelledStrip, cycle: CycleTruth, box: Box) -> NDArray[np.float64]:
    """(4, TRACED) depth 0…1 of the borders at the columns of a crop, NaN where unknown or outside."""
    x = box[0] + (np.arange(TRACED) + 0.5) / TRACED * (box[2] - box[0])
    if strip.walls_px is None:
        walls_px = np.full((4, TRACED), np.nan)
        for phase in (cycle.landmarks_px.diastole, cycle.landmarks_px.systole):
            walls_px[:, int(np.argmin(np.abs(x - phase[0][0])))] = [y for _, y in phase]
    else:
        columns = np.arange(strip.walls_px.shape[1])
        walls_px = np.stack(
            [np.interp(x, columns, wall, left=np.nan, right=np.nan) for wall in strip.walls_px]
        )
    unit = (walls_px - box[1]) / (box[3] - box[1])
    return np.where((unit > 0) & (unit < 1), unit, np.nan)


def collate(batch: Sequence[Example]) -> tuple[Tensor, Targets]:
    """Crops (N, 1, H, W) float32 and their targets."""
    points_ = np.stack([each.points for each in batch])
    is_lv = ~np.isnan(points_).any(axis=(1, 2))
    targets = Targets(
        points=torch.from_numpy(np.nan_to_num(points_, nan=0.5)),
        walls=torch.from_numpy(np.stack([each.walls for each in batch])),
        is_lv=torch.from_numpy(is_lv.astype(np.float32)),
    )
    return torch.from_numpy(np.stack([each.crop for each in batch]).astype(np.float32))[:, None], targets


def validate(
    network: nn.Module, strips: Sequence[LabelledStrip], rng: np.random.Generator
) -> dict[str, float]:
    """Root mean square error of every value, with boxes jittered as a detector's."""
    network.to("cpu")
    errors: dict[str, list[float]] = {}
    for strip, cycle in all_cycles(strips)[::4]:
        x0, y0, x1, y1 = jittered(rng, cycle.box_px)
        box = CycleBox(x0=x0, y0=y0, x1=x1, y1=y1, probability=1.0)
        found = locate(network, strip.strip, [box], torch.device("cpu"))[0].mean
        mine = measure(found, strip.calibration, rr_s=(x1 - x0) * strip.calibration.s_per_px_x)
        truth = cycle_values(strip, cycle)
        for name in truth:
            errors.setdefault(name, []).append(mine[name] - truth[name])
    return {name: float(np.sqrt(np.mean(np.square(e)))) for name, e in errors.items()}
