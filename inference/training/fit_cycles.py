"""Training of the cycle detector: `echonode train cycles`."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.ops import box_iou

from inference.labelled import LabelledStrip
from inference.networks.detector import build_detector, detect, load_detector, seed_boxes
from inference.networks.device import use_all_cores
from inference.networks.preprocessing import DETECTOR_INPUT, detector_image, whiten
from inference.networks.weights import WeightsRecord, save_weights
from inference.training.data import TRAINING_SEEDS, VALIDATION_SEEDS, phantoms, real_strips
from inference.training.fit import fit, in_batches
from inference.training.recipe import Recipe
from inference.training.sampling import depth_window, time_window, vary
from inference.training.stream import Batches

LEARNING_RATE = 8e-4
REUSE = 1.5
"""Examples per phantom, on average."""
HIT_IOU = 0.5
"""Least overlap of a found cycle with a true one."""
FIRST_THRESHOLD = 0.8
"""Threshold of the record until `train calibrate` chooses one."""
SEED_BOX_STRIPS = 1200
"""Phantoms whose cycles give the seed boxes; more do not change the extremes."""
MOST_SECONDS = 4.0
"""Longest part of a strip in one example, so that batches have similar sizes."""
HELD_OUT_STRIPS = 128
"""Validation phantoms checked during training, out of `Recipe.held_out`."""


class Example(NamedTuple):
    """One whitened strip (H, W) float16 and its cycles (N, 4) xyxy in edge coordinates."""

    name: str
    image: NDArray[np.float16]
    boxes: NDArray[np.float32]


def train_cycles(out: Path, recipe: Recipe) -> WeightsRecord:
    """Fit, validate and write `cycles.safetensors` with its record into `out`."""
    torch.manual_seed(recipe.seed)
    use_all_cores()
    real = real_strips(recipe.data)
    if recipe.update:
        network, known = load_detector(recipe.update)
        seeds_px = list(known.seed_boxes_px)
    else:
        known, seeds_px = None, sizes_of_cycles(recipe, real)
        network = build_detector(seeds_px)
    mix = recipe.mix(real, reuse=REUSE)
    fit(
        network,
        recipe,
        out,
        name="cycles",
        examples=Batches(example, mix, batch=recipe.batch, seed=recipe.stream_seed),
        loss_of=loss_of,
        held_out=held_out_batches(recipe),
        learning_rate=LEARNING_RATE,
    )
    measured = validate(network.eval(), phantoms(VALIDATION_SEEDS, recipe.held_out))
    return save_weights(
        out,
        network.state_dict(),
        network="cycles",
        version=recipe.version,
        input=DETECTOR_INPUT,
        seed_boxes_px=seeds_px,
        threshold=FIRST_THRESHOLD,
        training=recipe.record(known),
        measured=measured,
    )


def sizes_of_cycles(recipe: Recipe, real: Sequence[LabelledStrip]) -> list[tuple[float, float]]:
    """Seed boxes from phantoms and real strips."""
    drawn = phantoms(TRAINING_SEEDS, min(SEED_BOX_STRIPS, recipe.steps * recipe.batch), kind="LV")
    return seed_boxes(input_boxes([*drawn, *real]))


def input_boxes(strips: Sequence[LabelledStrip]) -> NDArray[np.float64]:
    """All cycle boxes in detector pixels, (N, 4) xyxy in edge coordinates."""
    boxes = []
    for strip in strips:
        _, scale = detector_image(strip.pixels, strip.calibration.s_per_px_x)
        boxes += [scale.to_input(cycle.box_px) for cycle in strip.cycles]
    return np.array(boxes)


def example(rng: np.random.Generator, strip: LabelledStrip) -> Example:
    """One augmented part of a strip and the cycles in it.

    Raises:
        ValueError: a labelled box is empty or upside down; names the strip.
    """
    labelled = np.array([cycle.box_px for cycle in strip.cycles]).reshape(-1, 4)
    if (labelled[:, 2:] <= labelled[:, :2]).any():
        raise ValueError(f"{strip.name}: a cycle box is degenerate: {labelled.tolist()}")
    seconds = strip.calibration.s_per_px_x * rng.uniform(0.85, 1.18)
    pixels, boxes = time_window(rng, strip.pixels, labelled, most_px=int(MOST_SECONDS / seconds))
    pixels, boxes = depth_window(rng, pixels, boxes)
    image, scale = detector_image(pixels, seconds)
    shown_boxes = [scale.to_input(tuple(box)) for box in boxes]
    return Example(
        strip.name,
        whiten(vary(rng, image)).astype(np.float16),
        np.array(shown_boxes, dtype=np.float32).reshape(-1, 4),
    )


def loss_of(network: FasterRCNN, batch: list[Example], device: torch.device) -> Tensor:
    """The sum of the four Faster R-CNN losses."""
    images, targets = collate(batch, device)
    return torch.stack(list(network(images, targets).values())).sum()


def held_out_batches(recipe: Recipe) -> list[list[Example]]:
    """Batches of the validation seeds, the same for every run with the same seed."""
    rng = np.random.default_rng(recipe.seed)
    strips = phantoms(VALIDATION_SEEDS, min(HELD_OUT_STRIPS, recipe.held_out))
    return in_batches([example(rng, strip) for strip in strips], recipe.batch)


def collate(batch: Sequence[Example], device: torch.device) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Images (1, H, W) and targets in the form of torchvision's detectors."""
    images = [torch.from_numpy(each.image.astype(np.float32))[None].to(device) for each in batch]
    targets = [
        {
            "boxes": torch.from_numpy(each.boxes).to(device),
            "labels": torch.ones(len(each.boxes), dtype=torch.int64, device=device),
        }
        for each in batch
    ]
    return images, targets


def validate(network: FasterRCNN, strips: Sequence[LabelledStrip]) -> dict[str, float]:
    """Recall of true cycles, and area under the ROC curve of left ventricles against look-alikes."""
    network.to("cpu")
    found = [detect(network, strip.strip, torch.device("cpu")) for strip in strips]
    best = np.array([cycles[0].probability if cycles else 0.0 for cycles in found])
    hits = total = 0
    for strip, cycles in zip(strips, found, strict=True):
        truth = torch.tensor([cycle.box_px for cycle in strip.cycles]).reshape(-1, 4)
        boxes = torch.tensor([c.xyxy for c in cycles if c.probability >= FIRST_THRESHOLD]).reshape(-1, 4)
        hits += int((box_iou(truth, boxes) > HIT_IOU).any(dim=1).sum()) if len(truth) and len(boxes) else 0
        total += len(truth)
    lv_scores, other_scores = (
        best[np.array([belongs(strip) for strip in strips])] for belongs in (has_cycles, is_lookalike)
    )
    ranked = (
        float((lv_scores[:, None] > other_scores[None]).mean())
        if len(lv_scores) and len(other_scores)
        else 0.0
    )
    return {"recall": hits / max(total, 1), "area_under_curve": ranked}


def has_cycles(strip: LabelledStrip) -> bool:
    """True for a left ventricle with a whole cycle."""
    return bool(strip.cycles)


def is_lookalike(strip: LabelledStrip) -> bool:
    """True for anything but a left ventricle."""
    return not strip.is_lv
