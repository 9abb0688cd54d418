"""From a cycle to eight landmarks: ResNet-18, one fully connected layer, sigmoid.

Patent CN109620293B [0092-0105, 0160] for the network, [0112-0115, 0140-0141] for range-extended
sampling: crops of 0.9 to 1.1 times the cycle whose centre lies in the middle half of its length.
The same sampling at inference, averaged, gives the landmarks' spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import resnet18

from inference.device import half_precision
from inference.preprocess import CROP_SIZE_PX, Box, crop, from_unit, whiten
from inference.types import CycleBox, Landmarks, MModeStrip

LANDMARK_ORDER = tuple(
    f"{border}_{phase}"
    for phase in ("diastole", "systole")
    for border in ("septum_outer", "septum_inner", "posterior_wall_inner", "posterior_wall_outer")
)
RESAMPLED = (
    (0.0, 0.0, 1.0),
    (-0.06, 0.02, 1.03),
    (0.05, -0.02, 0.97),
    (-0.03, -0.03, 1.05),
    (0.03, 0.03, 0.96),
)
"""Crops taken of each cycle at inference: shift along and across (shares of the cycle) and size."""


class LandmarkNet(nn.Module):
    """(N, 1, 128, 96) whitened crops to (N, 8, 2) positions (x, y), 0…1 inside the crop."""

    def __init__(self) -> None:
        super().__init__()
        net = resnet18(weights=None)
        net.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        # The last feature map is kept, not averaged: where a wall lies is what we ask.
        net.avgpool = nn.Identity()
        cells = -(-CROP_SIZE_PX[0] // 32) * -(-CROP_SIZE_PX[1] // 32)
        net.fc = nn.Linear(512 * cells, 2 * len(LANDMARK_ORDER))
        self.net = net

    def forward(self, crops: Tensor) -> Tensor:
        """See the class."""
        positions: Tensor = torch.sigmoid(self.net(crops))
        return positions.view(-1, len(LANDMARK_ORDER), 2)


@dataclass(frozen=True, kw_only=True)
class LandmarkSamples:
    """The landmarks of one cycle as each resampled crop saw them."""

    points_px: NDArray[np.float64]
    """(crops, 8, 2) full-image pixels, order `LANDMARK_ORDER`."""
    heart: NDArray[np.float64]
    """(crops,) probability that the crop shows a left-ventricular cycle at chordal level (0…1)."""

    @property
    def mean(self) -> Landmarks:
        """The average position of each landmark."""
        return as_landmarks(self.points_px.mean(axis=0))

    @property
    def heart_probability(self) -> float:
        """How sure the crops together are of a left ventricle."""
        return float(self.heart.mean())


def as_landmarks(points: NDArray[np.float64]) -> Landmarks:
    """(8, 2) in `LANDMARK_ORDER` to the named value."""
    p = [(float(x), float(y)) for x, y in points]
    return Landmarks(diastole=(p[0], p[1], p[2], p[3]), systole=(p[4], p[5], p[6], p[7]))


def shifted(box: Box, along: float, across: float, size: float) -> Box:
    """`box` moved by shares of its own length and height, and scaled about its centre."""
    width, height = box[2] - box[0], box[3] - box[1]
    x, y = (box[0] + box[2]) / 2 + along * width, (box[1] + box[3]) / 2 + across * height
    return x - size * width / 2, y - size * height / 2, x + size * width / 2, y + size * height / 2


def locate(
    network: nn.Module, strip: MModeStrip, cycles: Sequence[CycleBox], device: torch.device
) -> list[LandmarkSamples]:
    """Landmarks of every cycle, all crops in one batch; empty in, empty out."""
    if not cycles:
        return []
    corner = np.array([strip.region.x0, strip.region.y0])
    boxes = [
        shifted((c.x0 - corner[0], c.y0 - corner[1], c.x1 - corner[0], c.y1 - corner[1]), *how)
        for c in cycles
        for how in RESAMPLED
    ]
    crops = np.stack([whiten(crop(strip.pixels, box)) for box in boxes])
    with torch.inference_mode(), half_precision(device):
        unit = network(torch.from_numpy(crops)[:, None].to(device)).float().cpu().numpy()
    points = [from_unit(u.astype(np.float64), box) + corner for u, box in zip(unit, boxes, strict=True)]
    each = len(RESAMPLED)
    # This head locates and does not judge: every crop passes.
    return [
        LandmarkSamples(points_px=np.stack(points[i : i + each]), heart=np.ones(each))
        for i in range(0, len(points), each)
    ]
