"""What the way from the beam former to the file does to gray levels: maps, tints, scaling, JPEG, noise."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from inference.phantom.overlay.canvas import Canvas

WHITE = 255
TINTS = (
    (1.0, 0.86, 0.62),  # sepia
    (1.0, 0.93, 0.78),
    (0.78, 0.9, 1.0),  # blue
    (0.62, 0.8, 1.0),
    (0.75, 1.0, 0.8),  # green
    (1.0, 0.75, 0.55),  # copper
)
"""Brightness of red, green and blue in the middle of a tinted gray map; its ends are black and white."""


def gray_map(canvas: Canvas) -> NDArray[np.uint8]:
    """(256,) uint8: the gray shown for each gray of the echo; never falling."""
    level = np.linspace(0, 1, 256)
    if canvas.happens("gray_map"):
        level = canvas.one_of((s_curve, knee, steps))(canvas, level)
    low = canvas.number("pedestal_gray") if canvas.happens("pedestal") else 0.0
    high = canvas.number("ceiling_gray") if canvas.happens("ceiling") else float(WHITE)
    return np.rint(low + (high - low) * level).astype(np.uint8)


def s_curve(canvas: Canvas, level: NDArray[np.float64]) -> NDArray[np.float64]:
    """More contrast in the middle."""
    share = canvas.draw.between(0.2, 0.8)
    return np.asarray((1 - share) * level + share * level**2 * (3 - 2 * level))


def knee(canvas: Canvas, level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two straight pieces: dark levels pressed or lifted."""
    at = canvas.draw.between(0.2, 0.6)
    to = min(at * canvas.draw.between(0.5, 1.5), 0.8)
    return np.interp(level, (0, at, 1), (0, to, 1))


def steps(canvas: Canvas, level: NDArray[np.float64]) -> NDArray[np.float64]:
    """As few grays as an old frame grabber kept."""
    count = int(canvas.draw.rng.integers(16, 65))
    return np.asarray(np.rint(level * (count - 1)) / (count - 1))


def focus(canvas: Canvas, image: Image.Image) -> Image.Image:
    """The image as it was, sharpened, or slightly out of focus."""
    if canvas.happens("sharpen"):
        return image.filter(ImageFilter.UnsharpMask(1, int(canvas.number("sharpen_pct")), 2))
    if canvas.happens("blur"):
        return image.filter(ImageFilter.GaussianBlur(canvas.number("blur_px")))
    return image


def resampled(canvas: Canvas, image: Image.Image) -> Image.Image:
    """The image after the screen scaled it down and a viewer back up."""
    scale = canvas.number("resample_scale")
    small = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    ways = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    return image.resize(small, canvas.one_of(ways[1:])).resize(image.size, canvas.one_of(ways))


def stored(canvas: Canvas, image: Image.Image) -> Image.Image:
    """The image as the file keeps it and a reader turns it to gray: tinted or not, JPEG or not."""
    lossy = canvas.happens("jpeg")
    if canvas.happens("tint"):
        tint = canvas.one_of(TINTS)
        image = Image.merge("RGB", [image.point(channel(middle)) for middle in tint])
    if lossy:
        memory = io.BytesIO()
        image.save(
            memory, "JPEG", quality=int(canvas.draw("jpeg_quality")), subsampling=canvas.one_of((0, 2, 2))
        )
        image = Image.open(memory)
    return image.convert("L")


def channel(middle: float) -> list[int]:
    """Table of one colour of a tinted map: `middle` times the gray at half brightness."""
    level = np.linspace(0, 1, 256)
    return [round(v) for v in WHITE * level * (1 - (1 - middle) * 4 * level * (1 - level))]


def noisy(canvas: Canvas, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels with the noise of an analogue capture card."""
    noise = canvas.draw.rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.asarray(np.clip(pixels + noise * canvas.number("noise_gray"), 0, WHITE), dtype=np.uint8)
