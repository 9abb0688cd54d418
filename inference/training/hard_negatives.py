"""Hard negatives: the boxes a detector draws on strips that show no left ventricle.

The landmark network is the second gate, and only ever sees what passed the first one: crops from
anywhere in a look-alike teach it little about those.
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
"""Share of boxes that are drawn without asking the detector."""


class HardNegatives:
    """Boxes on look-alikes, by the detector of a weights folder; without one, from anywhere."""

    def __init__(self, weights: Path | None) -> None:
        self.weights = weights
        self.known: dict[tuple[str, int], list[Box]] = {}

    @property
    def sha256(self) -> str | None:
        """The detector's, for the record of who was taught by it; None without one."""
        return load_weights(self.weights, "cycles", DETECTOR_INPUT)[1].sha256 if self.weights else None

    def __call__(self, rng: np.random.Generator, strip: LabelledStrip) -> Box:
        """A box in strip pixels in which there is no left ventricle."""
        boxes = self.of(strip) if rng.random() > ANYWHERE else []
        if not boxes:
            return random_box(rng, strip.pixels.shape, strip.calibration.s_per_px_x)
        box = jittered(rng, boxes[int(rng.integers(len(boxes)))])
        return shifted(box, rng.uniform(-0.2, 0.2), rng.uniform(-0.05, 0.05), rng.uniform(0.9, 1.1))

    def of(self, strip: LabelledStrip) -> list[Box]:
        """The detector's most probable boxes, however improbable; looked for once per strip."""
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
    """The detector of this process, loaded when first asked for: processes share no threads.

    Raises:
        WeightsMismatch: there is no usable detector in `weights`.
    """
    return load_detector(weights)[0].eval()
