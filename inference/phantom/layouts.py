"""Screen layouts of several makers, in one table, and where each puts the strip of a phantom."""

from dataclasses import dataclass
from typing import Literal

from inference.phantom.strip import Phantom

RGB = tuple[int, int, int]
STANDARD_SIZES = ((640, 480), (800, 600), (1024, 768), (1280, 960), (1600, 1200))
SPARE = 1.2
"""A screen is a standard one if that is at most this much wider and taller than what it has to show."""
MIN_SECTOR_PX, MAX_SECTOR_PX = 90, 420
APEX_Y_PX = 20
BESIDE_PX = 30
"""Room between the sector and a strip at its right."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How one kind of machine fills its screen and describes the strip on it."""

    name: str
    sector: Literal["above", "left", "none"]
    margins_px: tuple[int, int, int, int]
    """Room at the left, above, at the right and below the strip, without the sector."""
    axis: RGB
    text: RGB
    echo: RGB
    """Colour of the brightest echo in the sector and of the gray bar; the strip itself stays gray."""
    ecg: RGB | None
    """Colour of an ECG above the strip; None where the machine draws it nowhere else than in the strip."""
    background: RGB = (0, 0, 0)
    axis_at_left: bool = False
    seconds_numbered: bool = False
    text_px: int = 11
    region_flags: int
    sector_region: bool
    """Whether a calibrated 2D region comes before the M-mode region."""
    bar_region: bool = False
    """Whether the gray bar is a region of its own, without format and units."""
    reference_pixel: bool = False
    last_is_size: bool = False
    """Whether RegionLocationMaxX1 is one past the last column."""


WHITE, BLACK = (255, 255, 255), (0, 0, 0)
LAYOUTS = (
    Layout(
        name="strip below the sector, yellow axes",
        sector="above",
        margins_px=(33, 8, 66, 36),
        axis=(190, 180, 90),
        text=(200, 190, 110),
        echo=(255, 250, 240),
        ecg=None,
        seconds_numbered=True,
        region_flags=0,
        sector_region=True,
    ),
    Layout(
        name="strip below the sector, white axes, ECG above the strip",
        sector="above",
        margins_px=(42, 52, 80, 36),
        axis=WHITE,
        text=WHITE,
        echo=WHITE,
        ecg=(70, 240, 90),
        text_px=14,
        region_flags=2,
        sector_region=True,
        reference_pixel=True,
    ),
    Layout(
        name="strip right of the sector",
        sector="left",
        margins_px=(20, 56, 58, 44),
        axis=(150, 200, 150),
        text=(210, 210, 210),
        echo=(200, 225, 255),
        ecg=(255, 220, 60),
        background=(6, 8, 14),
        region_flags=3,
        sector_region=True,
        reference_pixel=True,
    ),
    Layout(
        name="strip over the whole screen, to its right edge",
        sector="none",
        margins_px=(44, 40, 0, 32),
        axis=(170, 170, 170),
        text=(120, 200, 255),
        echo=WHITE,
        ecg=None,
        axis_at_left=True,
        region_flags=3,
        sector_region=False,
        last_is_size=True,
    ),
    Layout(
        name="strip below the sector, axes at its left, gray bar as a region",
        sector="above",
        margins_px=(58, 54, 40, 36),
        axis=(120, 170, 230),
        text=(230, 230, 160),
        echo=(255, 225, 180),
        ecg=(255, 255, 255),
        background=(18, 18, 20),
        axis_at_left=True,
        seconds_numbered=True,
        text_px=10,
        region_flags=2,
        sector_region=False,
        bar_region=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where things lie on the screen of one phantom, in image pixels."""

    size: tuple[int, int]
    """Columns and rows of the screen."""
    strip: tuple[int, int]
    """Top-left pixel of the strip: (x, y)."""
    apex: tuple[int, int] | None
    """Apex of the sector: (x, y); None where there is no sector."""
    radius_px: int


def layout_of(phantom: Phantom) -> Layout:
    """The layout that belongs to the phantom's seed."""
    return LAYOUTS[phantom.seed % len(LAYOUTS)]


def placement(phantom: Phantom) -> Placement:
    """The screen around the phantom's strip."""
    layout, (height, width) = layout_of(phantom), phantom.pixels.shape
    left, above, right, below = layout.margins_px
    if layout.sector == "none":
        size = (left + width + right, above + height + below)
        return Placement(size=size, strip=(left, above), apex=None, radius_px=0)
    if layout.sector == "left":
        radius = _sector_px(height * 3 // 4)
        x = left + 5 * radius // 4 + BESIDE_PX
        size = (x + width + right, above + max(height, radius + 60) + below)
        return Placement(
            size=size, strip=(x, above), apex=(left + 5 * radius // 8, above + 20), radius_px=radius
        )
    total_width = left + width + right
    radius = _sector_px(min(total_width * 3 // 4 - height - above - below, height + 60))
    size = _standard((total_width, radius + APEX_Y_PX + above + height + below))
    y = size[1] - below - height
    radius = _sector_px(y - above - APEX_Y_PX)
    return Placement(size=size, strip=(left, y), apex=(left + width // 2, APEX_Y_PX - 6), radius_px=radius)


def _standard(needed: tuple[int, int]) -> tuple[int, int]:
    """The smallest standard screen, or exactly the `needed` columns and rows if that wastes too much."""
    for size in STANDARD_SIZES:
        if all(need <= has <= SPARE * need for need, has in zip(needed, size, strict=True)):
            return size
    return needed


def _sector_px(side_px: int) -> int:
    return max(MIN_SECTOR_PX, min(MAX_SECTOR_PX, side_px))
