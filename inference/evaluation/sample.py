"""The strips of an evaluation: phantoms of the test seeds, or a data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from inference.evaluation.scored_strips import Rule, Source
from inference.labelled import LEFT_VENTRICLE, LabelledStrip, mean_values
from inference.phantom.lookalikes import LOOKALIKES
from inference.phantom.manners import MANNERS
from inference.phantom.strip import make_phantom, make_phantom_in_some_manners
from inference.training.data import TEST_SEEDS
from inference.training.datasets.read import read_dataset

CLINICAL_DEPTH_CM = (8.0, 18.0)
CLINICAL_HEIGHT_PX = 250
CLINICAL_LVIDd_CM = (3.0, 7.5)
APART = 50_000
"""Seeds from one manner's strips to the next one's: no heart is shown twice."""
MOST_TRIES_PER_STRIP = 50
"""Phantoms drawn per requested left ventricle before the search for the range ends."""


class Range(StrEnum):
    """Which left ventricles count."""

    CLINICAL = "clinical"
    """Depth 8-18 cm, strip at least 250 pixels tall, LVIDd 3-7.5 cm."""
    FULL = "full"
    """Whatever the phantom draws."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Number and seeds of the phantoms; the same plan always gives the same strips."""

    count: int
    """Left ventricles."""
    lookalikes: int
    """Strips of all other kinds together, each kind in turn."""
    seed: int = 0
    """Offset into the test seeds."""
    range: Range = Range.CLINICAL
    by_manner: bool = False
    """Equally many left ventricles without a manner and of each (see `inference.phantom.manners`), and the
    look-alikes in some; else all are drawn without."""

    @property
    def groups(self) -> dict[str, int]:
        """Number of left ventricles of each manner; "" for those without."""
        names = ("", *MANNERS) if self.by_manner else ("",)
        return {
            name: self.count // len(names) + (i < self.count % len(names)) for i, name in enumerate(names)
        }


def in_clinical_range(strip: LabelledStrip) -> bool:
    """True for a left ventricle of the size, depth and resolution of adult echo."""
    height_px = strip.pixels.shape[0]
    depth_cm = height_px * strip.calibration.cm_per_px_y
    LVIDd_cm = mean_values(strip).get("LVIDd_cm", 0.0)
    return (
        height_px >= CLINICAL_HEIGHT_PX
        and CLINICAL_DEPTH_CM[0] <= depth_cm <= CLINICAL_DEPTH_CM[1]
        and CLINICAL_LVIDd_CM[0] <= LVIDd_cm <= CLINICAL_LVIDd_CM[1]
    )


def has_cycle(strip: LabelledStrip) -> bool:
    """True if a whole cycle is labelled; a phantom may show none."""
    return bool(strip.cycles)


RULES: dict[Range, Rule] = {Range.CLINICAL: in_clinical_range, Range.FULL: has_cycle}


def lv_sources(plan: Plan, name: str = "") -> Iterator[Source]:
    """Left ventricles of consecutive test seeds, enough for the range's rule to pick those of a manner."""
    manners = (name,) if name else ()
    first = TEST_SEEDS + plan.seed + APART * list(plan.groups).index(name)
    for seed in range(first, first + MOST_TRIES_PER_STRIP * plan.groups[name]):
        yield partial(make_phantom, seed, kind=LEFT_VENTRICLE, manners=manners)


def lookalike_sources(plan: Plan) -> Iterator[Source]:
    """Strips of every other kind in turn, of consecutive test seeds."""
    kinds, first = list(LOOKALIKES), TEST_SEEDS + plan.seed
    make = make_phantom_in_some_manners if plan.by_manner else make_phantom
    for number in range(plan.lookalikes):
        yield partial(make, first + number // len(kinds), kind=kinds[number % len(kinds)])


def dataset_sources(folder: Path) -> list[Source]:
    """The strips of a data set except left ventricles without a whole cycle; loaded when called.

    Raises:
        InvalidDataset: the folder is not a valid data set; says why.
    """
    records = read_dataset(folder).records
    return [one.load for one in records if one.cycles or one.image.kind != LEFT_VENTRICLE]
