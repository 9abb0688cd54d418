"""Figures of each manner of drawing apart: where borders are hidden, an average says nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from inference.evaluation.agreement import QUANTITIES, Agreement, Rate, pairs
from inference.evaluation.drawing import png
from inference.evaluation.figures import agreements, measured_rate
from inference.evaluation.scored_strips import ScoredStrip
from inference.evaluation.units import shown
from inference.training.datasets.contact_sheet import contact_sheet
from inference.types import LENGTHS

COLUMNS = (*LENGTHS, "EF_percent")
"""Quantities that tables show of each manner."""
SHOWN = 3
"""Strips of each manner on a sheet."""
PLAIN = "plain"
"""Name of the strips without a manner."""


@dataclass(frozen=True, kw_only=True)
class MannerFigures:
    """Accuracy on the left ventricles of one manner."""

    coverage: Rate
    """Left ventricles that were measured."""
    agreement: Mapping[str, Agreement]
    """Errors of the measured ones, by quantity."""


def by_manner(scored: Sequence[ScoredStrip]) -> dict[str, MannerFigures]:
    """Return the figures of each manner; a strip of two counts in both."""
    lv_strips = [one for one in scored if one.is_lv]
    names = sorted(
        {name for one in lv_strips for name in names_of(one)}, key=lambda name: (name != PLAIN, name)
    )
    return {name: _figures([one for one in lv_strips if name in names_of(one)]) for name in names}


def error_text(name: str, one: MannerFigures) -> str:
    """Return the mean absolute error of a quantity, and in brackets the share of truths inside, as text.

    Where it was withheld on some of the measured strips, the number of the others follows.
    """
    found = one.agreement.get(name)
    if found is None:
        return "—"
    of = f" of {found.count}" if found.count < one.coverage.hits else ""
    return f"{shown(name)[2] * found.mae:.2f} ({100 * (found.inside_ci95.share or 0):.0f} %{of})"


def names_of(one: ScoredStrip) -> tuple[str, ...]:
    """Return the manners of a strip, or that it has none."""
    return one.manners or (PLAIN,)


def manner_sheet(scored: Sequence[ScoredStrip]) -> bytes | None:
    """Return a PNG with the first strips of each manner and their truth; None without manners."""
    lv_strips = [one for one in scored if one.is_lv]
    if not any(one.manners for one in lv_strips):
        return None
    names = dict.fromkeys(name for one in lv_strips for name in names_of(one))
    first = [one for name in names for one in [each for each in lv_strips if name in names_of(each)][:SHOWN]]
    strips = [replace(one.source(), name=", ".join(names_of(one))) for one in first]
    return png(contact_sheet(strips, "Strips of each manner"))


def _figures(lv_strips: Sequence[ScoredStrip]) -> MannerFigures:
    compared = {name: pairs(lv_strips, name) for name in QUANTITIES}
    return MannerFigures(coverage=measured_rate(lv_strips), agreement=agreements(compared))
