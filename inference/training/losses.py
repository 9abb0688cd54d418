"""Targets and loss of the landmark networks."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from inference.networks.landmark_network import Reading, peak

ALONG, ACROSS = 0.25, 1.0
"""Weight of errors along time and along depth; only depth becomes centimetres."""
POINT_WEIGHT, LV_WEIGHT = 20.0, 1.0
BETA = 0.01
"""Smooth L1 loss: errors below this share of the crop are squared."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The truth of N crops."""

    points: Tensor
    """(N, 8, 2), 0…1; arbitrary where `is_lv` is 0."""
    walls: Tensor
    """(N, 4, C) depth 0…1 of each border at the centres of C columns, NaN where unknown."""
    is_lv: Tensor
    """(N,) 1 for a left-ventricular cycle, else 0."""

    def to(self, device: torch.device) -> "Targets":
        """Copy to another device."""
        return Targets(
            points=self.points.to(device), walls=self.walls.to(device), is_lv=self.is_lv.to(device)
        )


def landmark_loss(reading: Reading, targets: Targets) -> Tensor:
    """Sum of the losses of lv_logit, of the phases and of the borders, or of the points."""
    loss = LV_WEIGHT * binary_cross_entropy_with_logits(reading.lv_logit, targets.is_lv)
    beats = targets.is_lv > 0
    if not bool(beats.any()):
        return loss
    points = targets.points[beats]
    if reading.rows is None or reading.columns is None:
        weight = torch.tensor([ALONG, ACROSS], device=points.device)
        distance = smooth_l1_loss(reading.points[beats], points, beta=BETA, reduction="none")
        return loss + POINT_WEIGHT * (distance * weight).mean()
    when = points.view(-1, 2, 4, 2)[:, :, 0, 0]
    columns, rows = reading.columns[beats], reading.rows[beats].transpose(2, 3)
    return loss + ALONG * cells_loss(columns, when) + ACROSS * cells_loss(rows, targets.walls[beats])


def cells_loss(logits: Tensor, position: Tensor) -> Tensor:
    """Loss of distributions over cells (…, cells) for positions 0…1 (NaN: unknown).

    Cross entropy of the whole distribution plus the error of its peak.
    """
    known = ~position.isnan()
    target = position.nan_to_num(0.5)
    place = smooth_l1_loss(peak(logits), target, beta=BETA, reduction="none")
    each = two_cell_entropy(logits, target) + POINT_WEIGHT * place
    return (each * known).sum() / known.sum().clamp(min=1)


def two_cell_entropy(logits: Tensor, position: Tensor) -> Tensor:
    """Cross entropy of (…, cells) logits with a target split between the two cells next to `position`.

    The mean of the target is `position` (0…1) itself, to a fraction of a cell.
    """
    cells = logits.shape[-1]
    at = (position * cells - 0.5).clamp(0, cells - 1)
    low = at.floor().long().clamp(max=cells - 2)
    share = at - low
    log = logits.log_softmax(-1)
    first = log.gather(-1, low[..., None])[..., 0]
    second = log.gather(-1, low[..., None] + 1)[..., 0]
    return -((1 - share) * first + share * second)
