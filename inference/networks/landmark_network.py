"""The two landmark networks: the same trunk with one of two heads.

`TracingNet` (default) predicts the depth of the four borders at every column of the crop, and the columns
of end diastole and end systole; the landmarks are the borders at these columns. `RegressionNet` is the
patent's head (CN109620293B [0092-0105, 0160]): one fully connected layer and a sigmoid for all eight
points. Both also predict whether the crop shows a left ventricle at chordal level.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle
from torchvision.models import resnet18

BORDERS, PHASES = 4, 2
POINTS = BORDERS * PHASES
WIDTH = 64
"""Channels of the decoder."""
NEAR = 4.0
"""A position is the mean of its distribution over the cells within this distance of the highest one."""
NEARBY, EXTREMES_TRIED, STAY = 2.0, 17, 1e-3
"""A phase is moved to the extreme of the cavity within NEARBY columns, at EXTREMES_TRIED places. STAY is
the cost per shift, so that a phase stays where the cavity hardly changes; both in shares of the crop."""


class Reading(NamedTuple):
    """Output of a landmark network for N crops."""

    points: Tensor
    """(N, 8, 2) landmarks (x, y), 0…1 inside the crop, in `LANDMARK_ORDER`."""
    lv_logit: Tensor
    """(N,) logit of "a left-ventricular cycle at chordal level"."""
    certainty: Tensor
    """(N,) share of the distribution near the chosen position, at the least certain landmark or phase; 1
    for `RegressionNet`, which predicts no distribution."""
    doubt: Tensor
    """(N, 8) mean distance of the predicted distribution from each landmark's depth, in shares of the crop's
    height; 0 for `RegressionNet`."""
    rows: Tensor | None = None
    """(N, 4, R, C) logits over R rows for each border at each of C columns; None for `RegressionNet`."""
    columns: Tensor | None = None
    """(N, 2, C) logits over columns for end diastole and end systole; None for `RegressionNet`."""


class Trunk(nn.Module):
    """ResNet-18 with one input channel; feature maps at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        net = resnet18(weights=None)
        first = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.stem = nn.Sequential(first, net.bn1, net.relu, net.maxpool)
        self.stages = nn.ModuleList([net.layer1, net.layer2, net.layer3, net.layer4])

    def forward(self, crops: Tensor) -> list[Tensor]:
        """(N, 1, H, W) to four feature maps, finest first."""
        maps, here = [], self.stem(crops)
        for stage in self.stages:
            here = stage(here)
            maps.append(here)
        return maps


def block(inside: int, outside: int) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class TracingNet(nn.Module):
    """(N, 1, H, W) whitened crops to a `Reading` with border logits over H/2 rows and W/2 columns."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.lateral = nn.ModuleList([nn.Conv2d(c, WIDTH, 1) for c in (64, 128, 256, 512)])
        self.refine = nn.Sequential(block(WIDTH, WIDTH), block(WIDTH, WIDTH))
        self.trace = nn.Conv2d(WIDTH, BORDERS * 4, 1)
        self.phase = nn.Sequential(
            nn.Conv1d(2 * WIDTH, WIDTH, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv1d(WIDTH, PHASES * 2, 5, padding=2),
        )
        self.heart = nn.Sequential(nn.Linear(512 * 2, 64), nn.ReLU(inplace=True), nn.Linear(64, 1))

    def forward(self, crops: Tensor) -> Reading:
        """See the class."""
        maps = self.trunk(crops)
        fine = self.lateral[3](maps[3])
        for lateral, finer in zip(self.lateral[2::-1], maps[2::-1], strict=True):
            fine = lateral(finer) + interpolate(fine, size=finer.shape[-2:], mode="nearest")
        fine = self.refine(fine)
        rows = pixel_shuffle(self.trace(fine), 2).float()
        profile = self.phase(torch.cat([fine.mean(2), fine.amax(2)], dim=1)).float()
        columns = profile.unflatten(1, (PHASES, 2)).transpose(2, 3).flatten(2)
        pooled = torch.cat([maps[3].mean((2, 3)), maps[3].amax((2, 3))], dim=1)
        points, certainty, doubt = meeting_points(rows, columns)
        return Reading(points, self.heart(pooled).float()[:, 0], certainty, doubt, rows, columns)


class RegressionNet(nn.Module):
    """The patent's head: last feature map, one fully connected layer, sigmoid."""

    def __init__(self, crop_px: tuple[int, int]) -> None:
        super().__init__()
        self.trunk = Trunk()
        # The last feature map is not averaged: the position of a wall would be lost.
        cells = -(-crop_px[0] // 32) * -(-crop_px[1] // 32)
        self.full = nn.Linear(512 * cells, 2 * POINTS)
        self.heart = nn.Linear(512, 1)

    def forward(self, crops: Tensor) -> Reading:
        """(N, 1, H, W) whitened crops to a `Reading` without logits of rows and columns."""
        last = self.trunk(crops)[-1]
        points = torch.sigmoid(self.full(last.flatten(1)).float()).view(-1, POINTS, 2)
        lv_logit = self.heart(last.mean((2, 3))).float()[:, 0]
        return Reading(points, lv_logit, torch.ones(len(crops)), torch.zeros(len(crops), POINTS))


def peak(logits: Tensor) -> Tensor:
    """Position 0…1 along the last axis: mean of the softmax over the cells near the highest one.

    The mean over all cells could lie between two likely borders.
    """
    share = logits.masked_fill(far_from_peak(logits), -torch.inf).softmax(-1)
    return ((share * cells_of(logits)).sum(-1) + 0.5) / logits.shape[-1]


def concentration(logits: Tensor) -> Tensor:
    """Share 0…1 of the softmax along the last axis that lies near the highest cell."""
    return logits.softmax(-1).masked_fill(far_from_peak(logits), 0.0).sum(-1)


def far_from_peak(logits: Tensor) -> Tensor:
    """Mask of the cells further than `NEAR` from the highest one of the last axis."""
    return (cells_of(logits) - logits.argmax(-1, keepdim=True)).abs() > NEAR


def distance(logits: Tensor, position: Tensor) -> Tensor:
    """Mean distance 0…1 of the softmax along the last axis from a position 0…1."""
    cells = (cells_of(logits) + 0.5) / logits.shape[-1]
    return (logits.softmax(-1) * (cells - position[..., None]).abs()).sum(-1)


def cells_of(logits: Tensor) -> Tensor:
    """0, 1, 2 … along the last axis."""
    return torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)


def meeting_points(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Borders at end diastole and end systole: points (N, 8, 2), certainty (N,) and doubt (N, 8)."""
    borders = rows.transpose(2, 3)
    traced = peak(borders)
    when = widest_and_narrowest(traced[:, 2] - traced[:, 1], peak(columns))
    x = when[..., None].expand(-1, -1, BORDERS).flatten(1)
    y = along(traced, when).transpose(1, 2).flatten(1)
    sure = along(concentration(borders), when).amin((1, 2))
    certainty = torch.minimum(sure, concentration(columns).amin(1))
    doubt = along(distance(borders, traced), when).transpose(1, 2).flatten(1)
    return torch.stack([x, y], dim=-1), certainty, doubt


def widest_and_narrowest(cavity: Tensor, when: Tensor) -> Tensor:
    """The times `when` (N, 2), 0…1, of both phases, moved to nearby extremes of the cavity (N, C).

    End diastole is where the cavity is widest, end systole where it is narrowest; any other time would bias
    the ejection fraction downwards.
    """
    steps = torch.linspace(-NEARBY, NEARBY, EXTREMES_TRIED, device=when.device) / cavity.shape[-1]
    tried = when[..., None] + steps
    width = along(cavity[:, None], tried.flatten(1)).view(tried.shape)
    merit = width * width.new_tensor([[1.0], [-1.0]]) - STAY * steps.abs()
    best = merit.argmax(-1, keepdim=True)
    return tried.gather(-1, best)[..., 0].clamp(0, 1)


def along(curves: Tensor, when: Tensor) -> Tensor:
    """Curves (N, B, C) over the crop, interpolated linearly at the times `when` (N, T), 0…1: (N, B, T)."""
    count = curves.shape[-1]
    at = (when * count - 0.5).clamp(0, count - 1)
    left = at.floor().long().clamp(max=count - 2)
    share = (at - left)[:, None]
    first, second = (curves.gather(2, i[:, None].expand(-1, curves.shape[1], -1)) for i in (left, left + 1))
    return first * (1 - share) + second * share
