"""False boxes of the shipped detector, which training shows the landmark network."""

from dataclasses import replace

import numpy as np
import torch
from torchvision.ops import box_iou

from inference.analyse import MOST_CYCLES
from inference.networks.weights import SHIPPED
from inference.phantom.strip import make_phantom
from inference.training.hard_negatives import HardNegatives


def test_a_lookalike_is_cropped_at_the_false_boxes_of_the_detector() -> None:
    """Most boxes lie about those that the detector drew, asked once per strip; a few lie anywhere."""
    rng, hard_negatives = np.random.default_rng(0), HardNegatives(SHIPPED)
    strips = (make_phantom(seed, "mitral") for seed in range(2, 40))
    other = next(strip for strip in strips if hard_negatives.of(strip))
    false_boxes = torch.tensor(hard_negatives.of(other))
    assert len(false_boxes) <= MOST_CYCLES

    shown = torch.tensor([hard_negatives(rng, other) for _ in range(100)])

    assert hard_negatives.of(other) is hard_negatives.of(other)
    near = (box_iou(shown, false_boxes).amax(1) > 0.5).double().mean()
    assert 0.6 < float(near) < 1.0
    namesake = replace(make_phantom(3, "air"), name=other.name)
    assert hard_negatives.of(namesake) != hard_negatives.of(other)
