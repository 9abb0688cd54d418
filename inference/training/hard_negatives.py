"""Hard negatives: the boxes that a detector finds on strips without a left ventricle.

The landmark network is applied to boxes of the detector only, so it is trained on the detector's false
boxes rather than on arbitrary parts of a look-alike.
"""

from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torchvision.models.detection import FasterRCNN

from inference.analyse import MOST_CYCLES
from inference.labelled import LabelledStrip
from inference.networks.detector import detect, load_detector
from inference.networks.landmarks import shifted
from inference.networks.preprocessing import DETECTOR_INPUT, Box
from inference.networks.weights import load_weights
from inference.training.sampling import jittered, random_box

ANYWHERE = 0.2
"""Share of the boxes that are placed at random instead."""


class HardNegatives:
    """Boxes on look-alikes from the detector of a weights folder; at random without one."""

    def __init__(self, weights: Path | None) -> None:
        self.weights = weights
        self.known: dict[tuple[str, int], list[Box]] = {}

    @property
    def sha256(self) -> str | None:
        """Sha256 of the detector, for the weights record; None without one."""
        return load_weights(self.weights, "cycles", DETECTOR_INPUT)[1].sha256 if self.weights else None

    def __call__(self, rng: np.random.Generator, strip: LabelledStrip) -> Box:
        """A box in strip pixels, without a left ventricle in it."""
        boxes = self.of(strip) if rng.random() > ANYWHERE else []
        if not boxes:
            return random_box(rng, strip.pixels.shape, strip.calibration.s_per_px_x)
        box = jittered(rng, boxes[int(rng.integers(len(boxes)))])
        return shifted(box, rng.uniform(-0.2, 0.2), rng.uniform(-0.05, 0.05), rng.uniform(0.9, 1.1))

    def of(self, strip: LabelledStrip) -> list[Box]:
        """The detector's most probable boxes without any threshold, detected once per strip."""
        if self.weights is None:
            return []
        # Two real sets may use the same file names.
        key = strip.name, crc32(strip.pixels.tobytes())
        if key not in self.known:
            found = detect(detector_of(self.weights), strip.strip, torch.device("cpu"))
            self.known[key] = [cycle.xyxy for cycle in found[:MOST_CYCLES]]
        return self.known[key]


@cache
def detector_of(weights: Path) -> FasterRCNN:
    """The detector of this process, loaded at the first call.

    Raises:
        WeightsMismatch: there is no valid detector in `weights`.
    """
    return load_detector(weights)[0].eval()
