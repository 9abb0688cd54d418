"""Whitening, resizing and cropping of strips, and the way back; the same for training and inference.

Patent CN109620293B [0048, 0147]: gray, so that coloured marks do not matter, and whitened, so that
brightness and gain do not. Points are in centre coordinates: whole numbers are pixel centres. In edge
coordinates whole numbers are pixel edges, half a pixel more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DETECTOR_HEIGHT_PX = 128
DETECTOR_PX_PER_S = 80.0
"""Time scale of the detector's input."""
DETECTOR_WIDTH_PX = (128, 1280)
"""Least and greatest width of the detector's input."""
CROP_SIZE_PX = (192, 96)
"""(height, width) of the landmark network's input."""

DETECTOR_INPUT = {"height_px": float(DETECTOR_HEIGHT_PX), "px_per_s": DETECTOR_PX_PER_S}
CROP_INPUT = {"height_px": float(CROP_SIZE_PX[0]), "width_px": float(CROP_SIZE_PX[1])}
"""Input geometry that a weights record must name."""

FloatImage = NDArray[np.float32]
Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels."""


def whiten(pixels: NDArray[np.uint8]) -> FloatImage:
    """(height, width) uint8 to float32 with mean 0 and deviation 1; a flat image becomes zeros."""
    values = pixels.astype(np.float32)
    return np.asarray((values - values.mean()) / max(float(values.std()), 1.0), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Detector input pixels per strip pixel, along x and y."""

    x: float
    y: float

    def to_input(self, box: Box) -> Box:
        """A strip box in centre coordinates to an input box in edge coordinates (as torchvision's)."""
        return (
            (box[0] + 0.5) * self.x,
            (box[1] + 0.5) * self.y,
            (box[2] + 0.5) * self.x,
            (box[3] + 0.5) * self.y,
        )

    def to_strip(self, box: Sequence[float]) -> Box:
        """The inverse of `to_input` (size restoration, patent [0085])."""
        return (
            box[0] / self.x - 0.5,
            box[1] / self.y - 0.5,
            box[2] / self.x - 0.5,
            box[3] / self.y - 0.5,
        )


def detector_image(pixels: NDArray[np.uint8], s_per_px_x: float) -> tuple[NDArray[np.uint8], Scale]:
    """The strip at the detector's height and time scale, and how it was scaled.

    The width of a beat then depends on the heart rate alone, not on the machine's sweep speed.
    """
    height, width = pixels.shape
    scaled_width = round(width * s_per_px_x * DETECTOR_PX_PER_S)
    new_width = int(np.clip(scaled_width, *DETECTOR_WIDTH_PX))
    resized = Image.fromarray(pixels).resize((new_width, DETECTOR_HEIGHT_PX), Image.Resampling.BILINEAR)
    return np.asarray(resized), Scale(x=new_width / width, y=DETECTOR_HEIGHT_PX / height)


def crop(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The pixels in `box` (centre coordinates), resized to `CROP_SIZE_PX`; black outside the strip."""
    height, width = pixels.shape
    x0, y0, x1, y1 = (edge + 0.5 for edge in box)
    left, top = max(0, int(np.ceil(-x0))), max(0, int(np.ceil(-y0)))
    right, bottom = max(0, int(np.ceil(x1 - width))), max(0, int(np.ceil(y1 - height)))
    padded = np.pad(pixels, ((top, bottom), (left, right)))
    rows, columns = CROP_SIZE_PX
    shifted = (x0 + left, y0 + top, x1 + left, y1 + top)
    return np.asarray(Image.fromarray(padded).resize((columns, rows), Image.Resampling.BILINEAR, box=shifted))


def to_unit(points: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
    """Points (…, 2) in pixels to 0…1 inside `box`."""
    x0, y0, x1, y1 = box
    return (points - (x0, y0)) / (x1 - x0, y1 - y0)


def from_unit(points: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
    """The inverse of `to_unit`."""
    x0, y0, x1, y1 = box
    return np.asarray(points * (x1 - x0, y1 - y0) + (x0, y0))
