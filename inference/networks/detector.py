"""The cycle detector: a Faster R-CNN whose anchors are the sizes of labelled cycles.

Patent CN109620293B [0049-0068, 0084-0087, 0151]: convolutional sub-network, region proposal with the
maximum, minimum and mean region as seed boxes, ROI pooling, fully connected classification, box adjustment,
non-maximum suppression. Built from torchvision's parts.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from inference.networks.device import half_precision
from inference.networks.preprocessing import (
    DETECTOR_HEIGHT_PX,
    DETECTOR_INPUT,
    DETECTOR_WIDTH_PX,
    detector_image,
    whiten,
)
from inference.networks.weights import WeightsRecord, load_weights
from inference.types import CycleBox, MModeStrip

FEATURES = 128
"""Channels of the backbone's output."""
HIDDEN = 256
"""Width of the box head."""
POOLED_PX = 7
LEAST_SCORE = 0.02
"""Less probable boxes are dropped inside the network; the threshold is in the weights record."""


class SeedBoxes(AnchorGenerator):
    """Anchors of exactly the given sizes, (width, height) in detector pixels."""

    def __init__(self, sizes_px: Sequence[tuple[float, float]]) -> None:
        super().__init__(sizes=(tuple(range(1, len(sizes_px) + 1)),), aspect_ratios=((1.0,),))
        half = torch.tensor(sizes_px) / 2
        self.cell_anchors = [torch.cat([-half, half], dim=1)]


class Backbone(nn.Module):
    """ResNet-18 up to stage three; the maps of stages two and three are added at stride 8."""

    def __init__(self) -> None:
        super().__init__()
        net = resnet18(weights=None)
        first = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.stem = nn.Sequential(first, net.bn1, net.relu, net.maxpool, net.layer1)
        self.stage2, self.stage3 = net.layer2, net.layer3
        self.lateral2, self.lateral3 = nn.Conv2d(128, FEATURES, 1), nn.Conv2d(256, FEATURES, 1)
        self.out_channels = FEATURES

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) float32 to (N, FEATURES, H/8, W/8)."""
        fine = self.stage2(self.stem(images))
        coarse = self.lateral3(self.stage3(fine))
        upsampled = nn.functional.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
        return nn.functional.relu(self.lateral2(fine) + upsampled)


def build_detector(seed_boxes_px: Sequence[tuple[float, float]]) -> FasterRCNN:
    """The untrained detector for images as `preprocessing` makes them."""
    head_in = FEATURES * POOLED_PX**2
    return FasterRCNN(
        Backbone(),
        rpn_anchor_generator=SeedBoxes(seed_boxes_px),
        rpn_pre_nms_top_n_train=400,
        rpn_post_nms_top_n_train=160,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_test=80,
        rpn_batch_size_per_image=96,
        box_roi_pool=MultiScaleRoIAlign(featmap_names=["0"], output_size=POOLED_PX, sampling_ratio=2),
        box_head=TwoMLPHead(head_in, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, num_classes=2),
        # A box half a beat out of phase has an IoU of 1/3, so positives need more than the usual 0.5.
        box_fg_iou_thresh=0.65,
        box_bg_iou_thresh=0.5,
        box_batch_size_per_image=64,
        box_score_thresh=LEAST_SCORE,
        box_nms_thresh=0.3,
        box_detections_per_img=40,
        # Images are whitened and scaled before: torchvision's transform only pads and batches them.
        min_size=DETECTOR_HEIGHT_PX,
        max_size=DETECTOR_WIDTH_PX[1],
        image_mean=[0.0],
        image_std=[1.0],
    )


def load_detector(folder: Path) -> tuple[FasterRCNN, WeightsRecord]:
    """The trained detector of a weights folder, and its record.

    Raises:
        WeightsMismatch: the folder has no valid detector.
    """
    state, record = load_weights(folder, "cycles", DETECTOR_INPUT)
    detector = build_detector(record.seed_boxes_px)
    detector.load_state_dict(state)
    return detector, record


def detect(network: FasterRCNN, strip: MModeStrip, device: torch.device) -> list[CycleBox]:
    """Cycle boxes in full-image pixels, most probable first, before any threshold."""
    image, scale = detector_image(strip.pixels, strip.region.calibration.s_per_px_x)
    with torch.inference_mode(), half_precision(device):
        found = network([torch.from_numpy(whiten(image))[None].to(device)])[0]
    x, y = strip.region.x0, strip.region.y0
    cycles = []
    for box, score in zip(found["boxes"].cpu().numpy(), found["scores"].cpu().numpy(), strict=True):
        x0, y0, x1, y1 = scale.to_strip([float(edge) for edge in box])
        cycles.append(CycleBox(x0=x0 + x, y0=y0 + y, x1=x1 + x, y1=y1 + y, probability=float(score)))
    return sorted(cycles, key=lambda cycle: -cycle.probability)


def seed_boxes(boxes_px: np.ndarray) -> list[tuple[float, float]]:
    """Maximum, minimum and mean (width, height) of labelled boxes (N, 4) xyxy (patent [0054])."""
    sizes = boxes_px[:, 2:] - boxes_px[:, :2]
    return [(float(w), float(h)) for w, h in (sizes.max(axis=0), sizes.min(axis=0), sizes.mean(axis=0))]
