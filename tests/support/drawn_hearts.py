"""Hearts drawn in flat grays, and two fakes of the networks that read them back.

What a trained network makes of an impossible picture cannot be foretold; these readers see just what is
drawn, so that a picture decides which rule of the node it meets.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from inference.analyse import Model
from inference.measure.intervals import Residuals
from inference.types import Calibration, CycleBox, LandmarkSamples, MModeRegion, MModeStrip, ModelIdentity

CALIBRATION = Calibration(cm_per_px_y=0.025, s_per_px_x=0.005)
SEPTUM, POSTERIOR_WALL, BLOOD = 150, 210, 25
HEIGHT_PX = 560
TOP_CM = 2.0
CROPS = 5
DIASTOLE_AT = 0.2
"""Share of the box before end diastole."""


@dataclass(frozen=True, kw_only=True)
class Heart:
    """Everything of one beat that a rule may look at; lengths in cm, the defaults are a healthy adult."""

    IVSd: float = 0.9
    LVIDd: float = 4.8
    LVPWd: float = 0.9
    IVSs: float = 1.2
    LVIDs: float = 3.1
    LVPWs: float = 1.3
    septum_back: float = 0.5
    """By how much the septum's outer border moves away from the probe in systole."""
    systole_at: float = 0.35
    """Share of the beat from end diastole to end systole."""
    RR_s: float = 0.9
    ragged: float = 0.0
    """By how much every other column shows thicker walls and the rest thinner ones."""

    def borders_cm(self) -> NDArray[np.float64]:
        """(2, 4): depths in diastole and systole."""
        steps = [(self.IVSd, self.LVIDd, self.LVPWd), (self.IVSs, self.LVIDs, self.LVPWs)]
        starts = (TOP_CM, TOP_CM + self.septum_back)
        return np.array([np.cumsum([start, *step]) for start, step in zip(starts, steps, strict=True)])


def draw(*hearts: Heart) -> MModeStrip:
    """A strip of these beats, one after the other."""
    return strip_of(np.concatenate([_beat(heart) for heart in hearts], axis=1))


def strip_of(pixels: NDArray[np.uint8]) -> MModeStrip:
    """These pixels as a whole image."""
    height, width = pixels.shape
    region = MModeRegion(x0=0, y0=0, x1=width - 1, y1=height - 1, calibration=CALIBRATION, index=0)
    return MModeStrip(pixels=pixels, region=region, frame=0)


def _beat(heart: Heart) -> NDArray[np.uint8]:
    width = round(heart.RR_s / CALIBRATION.s_per_px_x)
    at = np.arange(width) / width
    knots = [0.0, DIASTOLE_AT, DIASTOLE_AT + heart.systole_at, 1.0]
    diastole, systole = heart.borders_cm()
    # Flat around both phases: the readers may look a column or two beside them.
    contracted = np.round(np.interp(at, knots, [0, 0, 1, 0]) * 20) / 20
    borders_cm = diastole[:, None] + contracted * (systole - diastole)[:, None]
    borders_cm += heart.ragged * np.outer([1, -1, 1, -1], (-1.0) ** np.arange(width))
    depth_cm = (np.arange(HEIGHT_PX)[:, None] + 0.5) * CALIBRATION.cm_per_px_y
    pixels = np.full((HEIGHT_PX, width), BLOOD, np.uint8)
    pixels[(depth_cm >= borders_cm[0]) & (depth_cm < borders_cm[1])] = SEPTUM
    pixels[(depth_cm >= borders_cm[2]) & (depth_cm < borders_cm[3])] = POSTERIOR_WALL
    return pixels


def boxes_of(hearts: Sequence[Heart], *, shift: float = 0.0, probability: float = 0.99) -> list[CycleBox]:
    """The box of every beat that `draw` draws, moved by a share of its length."""
    widths = [round(heart.RR_s / CALIBRATION.s_per_px_x) for heart in hearts]
    starts = np.cumsum([0, *widths[:-1]])
    return [
        CycleBox(
            x0=float(start + shift * width),
            y0=0.0,
            x1=float(start + width + shift * width),
            y1=HEIGHT_PX - 1.0,
            probability=probability,
        )
        for start, width in zip(starts, widths, strict=True)
    ]


@contextmanager
def readers(
    hearts: Sequence[Heart],
    boxes: Sequence[CycleBox],
    *,
    lv_probability: float = 1.0,
    certainty: float = 1.0,
    doubt_px: Sequence[float] = (0.0,) * 8,
) -> Iterator[Model]:
    """A model that finds these boxes and reads each beat's borders out of the pixels.

    `lv_probability` is the probability of a left ventricle that the landmark reader gives to every crop,
    `certainty` how sure it is of its least sure landmark, `doubt_px` how wide each one's distribution is.
    """

    def read(_: object, strip: MModeStrip, found: Sequence[CycleBox], __: object) -> list[LandmarkSamples]:
        which = {box.xyxy: each for box, each in zip(boxes, hearts, strict=True)}
        home = dict(zip((box.xyxy for box in boxes), boxes_of(hearts), strict=True))
        plain = [_samples(strip, which[box.xyxy], home[box.xyxy]) for box in found]
        return [
            replace(
                one,
                lv_probability=lv_probability * np.ones(CROPS),
                certainty=certainty * np.ones(CROPS),
                doubt_px=np.tile(doubt_px, (CROPS, 1)),
            )
            for one in plain
        ]

    with (
        patch("inference.analyse.detect", lambda *_: list(boxes)),
        patch("inference.analyse.locate", read),
    ):
        yield model()


def _samples(strip: MModeStrip, drawn: Heart, home: CycleBox) -> LandmarkSamples:
    length = home.x1 - home.x0
    crops = []
    for aside in range(-(CROPS // 2), CROPS // 2 + 1):
        columns = [
            home.x0 + share * length + aside for share in (DIASTOLE_AT, DIASTOLE_AT + drawn.systole_at)
        ]
        crops.append([(x, y) for x in columns for y in _borders_px(strip.pixels[:, round(x)])])
    return LandmarkSamples(
        points_px=np.array(crops),
        lv_probability=np.ones(CROPS),
        certainty=np.ones(CROPS),
        doubt_px=np.zeros((CROPS, 8)),
    )


def _borders_px(column: NDArray[np.uint8]) -> list[float]:
    """First and last row of each wall, as pixel edges."""
    walls = [np.flatnonzero(column == gray) for gray in (SEPTUM, POSTERIOR_WALL)]
    return [edge for rows in walls for edge in (float(rows[0]) - 0.5, float(rows[-1]) + 0.5)]


def model(*, threshold: float = 0.5, lv_threshold: float = 0.5) -> Model:
    """A model without networks."""
    identity = ModelIdentity(name="readers", version="1", sha256="0" * 64)
    nothing = torch.nn.Identity()
    return Model(
        identity=identity,
        detector=nothing,
        landmarks=nothing,
        device=torch.device("cpu"),
        threshold=threshold,
        lv_threshold=lv_threshold,
        certainty_threshold=0.5,
        residuals=Residuals(),
    )


def changed(**fields: float) -> Heart:
    """The healthy adult with these differences."""
    return replace(Heart(), **fields)
