"""Figures of each manner of drawing apart: where borders are hidden, an average says nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference.evaluation.agreement import QUANTITIES, Agreement, Rate, agreement, pairs
from inference.evaluation.scored_strips import ScoredStrip

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


def names_of(one: ScoredStrip) -> tuple[str, ...]:
    """Return the manners of a strip, or that it has none."""
    return one.manners or (PLAIN,)


def _figures(lv_strips: Sequence[ScoredStrip]) -> MannerFigures:
    found = {name: agreement(pairs(lv_strips, name)) for name in QUANTITIES}
    return MannerFigures(
        coverage=Rate(hits=sum(one.result.measured for one in lv_strips), of=len(lv_strips)),
        agreement={name: one for name, one in found.items() if one is not None},
    )
