"""From cycle boxes to landmarks, by averaging the landmark network over several crops of each cycle.

Patent CN109620293B [0088-0105, 0160] for cropping and regression, [0112-0115, 0140-0141] for range-extended
sampling: crops of 0.9 to 1.1 times the cycle whose centre lies in the middle half of its length. The spread
over the crops, and the width of what each of them predicts, are kept for the intervals.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inference.networks.device import half_precision
from inference.networks.landmark_network import RegressionNet, TracingNet
from inference.networks.preprocessing import CROP_SIZE_PX, Box, crop, from_unit, whiten
from inference.types import CycleBox, LandmarkSamples, MModeStrip

HEADS = ("tracing", "regression")
"""`TracingNet` or `RegressionNet` of `landmark_network`."""
TEST_TIME_CROPS = ((-0.08, 0.03, 1.06), (0.08, -0.03, 0.95))
"""Crops of each cycle at inference: shift along time and depth in shares of the cycle, and scale. More of
them take time and change no value: what a single crop shows of doubt, its distributions tell."""


CONTEXT = (0.2, 0.1)
"""Shares of a box's height added above and below: what lies beyond the septum tells it from the right
ventricular wall, even if the box starts at the wrong one."""


def build_landmark_net(head: str) -> nn.Module:
    """The untrained network of one of `HEADS`, for crops of `CROP_SIZE_PX`."""
    return TracingNet() if head == "tracing" else RegressionNet(CROP_SIZE_PX)


def with_context(box: Box) -> Box:
    """The box extended by `CONTEXT`."""
    above, below = ((box[3] - box[1]) * share for share in CONTEXT)
    return box[0], box[1] - above, box[2], box[3] + below


def shifted(box: Box, along: float, across: float, size: float) -> Box:
    """`box` moved by shares of its own width and height, and scaled by `size` about its centre."""
    width, height = box[2] - box[0], box[3] - box[1]
    x, y = (box[0] + box[2]) / 2 + along * width, (box[1] + box[3]) / 2 + across * height
    return x - size * width / 2, y - size * height / 2, x + size * width / 2, y + size * height / 2


def locate(
    network: nn.Module, strip: MModeStrip, cycles: Sequence[CycleBox], device: torch.device
) -> list[LandmarkSamples]:
    """Landmarks of every cycle, with all crops in one batch."""
    if not cycles:
        return []
    corner = np.array([strip.region.x0, strip.region.y0])
    boxes = [
        shifted(with_context(box), *how)
        for box in ((c.x0 - corner[0], c.y0 - corner[1], c.x1 - corner[0], c.y1 - corner[1]) for c in cycles)
        for how in TEST_TIME_CROPS
    ]
    crops = read(network, np.stack([whiten(crop(strip.pixels, box)) for box in boxes]), device)
    points = np.stack([from_unit(u, box) + corner for u, box in zip(crops.points, boxes, strict=True)])
    doubt = crops.doubt * np.array([[box[3] - box[1]] for box in boxes])
    each = len(TEST_TIME_CROPS)
    return [
        LandmarkSamples(
            points_px=points[i : i + each],
            lv_probability=crops.lv_probability[i : i + each],
            certainty=crops.certainty[i : i + each],
            doubt_px=doubt[i : i + each],
        )
        for i in range(0, len(points), each)
    ]


class Crops(NamedTuple):
    """What the network reads in N crops, see `landmark_network.Reading`."""

    points: NDArray[np.float64]
    lv_probability: NDArray[np.float64]
    certainty: NDArray[np.float64]
    doubt: NDArray[np.float64]


def read(network: nn.Module, crops: NDArray[np.float32], device: torch.device) -> Crops:
    """Whitened crops (N, H, W) to points (N, 8, 2), lv_probability (N,), certainty (N,) and doubt (N, 8)."""
    batch = torch.from_numpy(crops)[:, None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode(), half_precision(device):
        reading = network(batch)
    found = (reading.points, torch.sigmoid(reading.lv_logit), reading.certainty, reading.doubt)
    return Crops(*(each.double().cpu().numpy() for each in found))
