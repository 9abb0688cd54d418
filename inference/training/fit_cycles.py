"""Trains the cycle detector on phantoms: `echonode train cycles`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.ops import box_iou

from inference.cycles import build_detector, detect, seed_boxes
from inference.labelled import LabelledStrip
from inference.preprocess import DETECTOR_INPUT, detector_image, whiten
from inference.training.data import TRAINING_SEEDS, VALIDATION_SEEDS, endless, phantoms
from inference.training.optimise import optimise
from inference.training.recipe import Recipe
from inference.training.sampling import time_window, vary
from inference.weights import WeightsRecord, save_weights

LEARNING_RATE = 6e-4
HIT_IOU = 0.5
FALSE_MEASURE_SHARE = 0.01
"""The threshold is set so that at most this share of validation look-alikes shows a cycle."""


def train_cycles(out: Path, recipe: Recipe) -> WeightsRecord:
    """Renders, fits, validates and writes `cycles.safetensors` with its record into `out`."""
    torch.manual_seed(recipe.seed)
    train = phantoms(TRAINING_SEEDS, recipe.strips)
    seed_boxes_px = seed_boxes(input_boxes(train))
    network = build_detector(seed_boxes_px)
    fit(network, train, recipe)
    threshold, measured = validate(network, phantoms(VALIDATION_SEEDS, recipe.held_out))
    return save_weights(
        out,
        network.state_dict(),
        network="cycles",
        version=recipe.version,
        input=DETECTOR_INPUT,
        seed_boxes_px=seed_boxes_px,
        threshold=threshold,
        training=recipe.record(),
        measured=measured,
    )


def input_boxes(strips: Sequence[LabelledStrip]) -> np.ndarray:
    """All cycle boxes of the set in detector pixels, (N, 4)."""
    boxes = []
    for strip in strips:
        _, scale = detector_image(strip.pixels, strip.calibration.s_per_px_x)
        boxes += [scale.to_input(cycle.box_px) for cycle in strip.cycles]
    return np.array(boxes)


def example(rng: np.random.Generator, strip: LabelledStrip) -> tuple[Tensor, dict[str, Tensor]]:
    """One augmented image (1, H, W) and its target."""
    labelled = np.array([cycle.box_px for cycle in strip.cycles]).reshape(-1, 4)
    pixels, boxes = time_window(rng, strip.pixels, labelled)
    seconds = strip.calibration.s_per_px_x * rng.uniform(0.85, 1.18)
    image, scale = detector_image(pixels, seconds)
    wanted = torch.tensor([scale.to_input(tuple(box)) for box in boxes], dtype=torch.float32).reshape(-1, 4)
    target = {"boxes": wanted, "labels": torch.ones(len(wanted), dtype=torch.int64)}
    return torch.from_numpy(whiten(vary(rng, image)))[None], target


def fit(network: FasterRCNN, strips: Sequence[LabelledStrip], recipe: Recipe) -> None:
    """Minimises the four Faster R-CNN losses."""
    rng = np.random.default_rng(recipe.seed)

    def loss_of(chosen: NDArray[np.int64]) -> Tensor:
        images, targets = zip(*(example(rng, strips[i]) for i in chosen), strict=True)
        return torch.stack(list(network(list(images), list(targets)).values())).sum()

    optimise(
        network,
        endless(rng, len(strips), recipe.batch),
        loss_of,
        steps=recipe.steps,
        learning_rate=LEARNING_RATE,
        seeds_of=lambda chosen: [strips[i].seed for i in chosen],
    )


def validate(network: FasterRCNN, strips: Sequence[LabelledStrip]) -> tuple[float, dict[str, float]]:
    """The threshold that refuses look-alikes, and what it costs: recall and coverage on left ventricles."""
    network.eval()
    found = [detect(network, strip.strip, torch.device("cpu")) for strip in strips]
    best = np.array([cycles[0].probability if cycles else 0.0 for cycles in found])
    is_lv = np.array([bool(strip.cycles) for strip in strips])
    lookalike = np.array([strip.kind != "LV" for strip in strips])
    threshold = float(max(0.5, np.quantile(best[lookalike], 1 - FALSE_MEASURE_SHARE)))
    hits = total = 0
    for strip, cycles in zip(strips, found, strict=True):
        truth = torch.tensor([cycle.box_px for cycle in strip.cycles]).reshape(-1, 4)
        boxes = torch.tensor([c.xyxy for c in cycles if c.probability >= threshold]).reshape(-1, 4)
        hits += int((box_iou(truth, boxes) > HIT_IOU).any(dim=1).sum()) if len(truth) and len(boxes) else 0
        total += len(truth)
    measured = {
        "recall": hits / max(total, 1),
        "coverage": float((best[is_lv] >= threshold).mean()),
        "false_measures": float((best[lookalike] >= threshold).mean()),
    }
    return threshold, measured
