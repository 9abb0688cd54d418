"""The strips that deserve a look: largest errors, missed ventricles, false measures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference.evaluation.drawing import strip_png
from inference.evaluation.scored_strips import ScoredStrip
from inference.evaluation.units import shown
from inference.types import LENGTHS

MOST_WORST = 10
MOST_MISSED = 6
TOLD = ("EF_percent", *LENGTHS)
"""Values shown with each strip."""
HEADINGS = tuple(shown(name)[0] for name in TOLD)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One picture with title, note and values."""

    title: str
    note: str
    rows: tuple[tuple[str, ...], ...]
    """Cells under `HEADINGS`: "true" or "found", then the values."""
    picture_png: bytes


def worst_measured(scored: Sequence[ScoredStrip]) -> list[Case]:
    """Left ventricles with the largest EF errors."""
    measured = [one for one in scored if one.is_lv and "EF_percent" in one.result.measurements]
    worst = sorted(measured, key=lambda one: -abs(EF_error(one)))[:MOST_WORST]
    return [case(one, note=f"EF off by {EF_error(one):+z.1f} points") for one in worst]


def missed(scored: Sequence[ScoredStrip]) -> list[Case]:
    """Refused left ventricles, those with the lowest detector probability first."""
    refused = [one for one in scored if one.is_lv and not one.result.measured]
    least = sorted(refused, key=highest_probability)[:MOST_MISSED]
    return [case(one, note=f"{one.result.reason}: {one.result.detail}") for one in least]


def falsely_measured(scored: Sequence[ScoredStrip]) -> list[Case]:
    """Measured strips of other kinds, the highest detector probability first."""
    measured = [one for one in scored if not one.is_lv and one.result.measured]
    surest = sorted(measured, key=highest_probability, reverse=True)[:MOST_MISSED]
    return [case(one, note=f"most probable cycle {highest_probability(one):.2f}") for one in surest]


def case(one: ScoredStrip, *, note: str) -> Case:
    """The strip with its true and its found values, as far as it has them."""
    found = {name: value.value for name, value in one.result.measurements.items()}
    whose = (("true", one.values), ("found", found))
    rows = tuple((label, *cells(values)) for label, values in whose if values)
    return Case(title=one.name, note=note, rows=rows, picture_png=strip_png(one))


def EF_error(one: ScoredStrip) -> float:
    """Found - true, in percentage points."""
    return one.result.measurements["EF_percent"].value - one.values["EF_percent"]


def highest_probability(one: ScoredStrip) -> float:
    """Highest detector probability on the strip; 0 without boxes."""
    return max((box.probability for box in one.boxes), default=0.0)


def cells(values: Mapping[str, float]) -> list[str]:
    """EF in percent and the six lengths in mm; empty where there is none."""
    return [f"{shown(name)[2] * values[name]:.1f}" if name in values else "" for name in TOLD]
