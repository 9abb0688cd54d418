"""Manners: what real strips show of a ventricle that hides its borders, each drawn by a module of its own.

A manner is asked for by name; a phantom without any is the ordinary one of its seed. A border that is seen in
a third of the columns has a truth in all of them.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

DARK_SEPTUM = "dark_septum"
"""The septum's right side is a bright band, its muscle as dark as the blood, its left border in fragments."""
CHORDAL_LINES = "chordal_lines"
"""One to three thin lines run along the posterior endocardium, the first often brighter than that."""
RV_LINES = "rv_lines"
"""Short bright lines above the septum look like its edge: a trabecula, the moderator band."""
BROAD_PERICARDIUM = "broad_pericardium"
"""The pericardium is white and thick, and the broad pulse puts a grey band before it that belongs to it."""
SPECULAR = "specular"
"""Borders shine where they lie across the beam, and fade where they run past it."""
DROPOUT = "dropout"
"""For a part of each beat a wall sinks into the blood."""
GREY_MAP = "grey_map"
"""The machine's map makes dim tissue black, or bright tissue white."""

SHARES: Mapping[str, float] = MappingProxyType(
    {
        DARK_SEPTUM: 0.33,
        CHORDAL_LINES: 0.3,
        RV_LINES: 0.2,
        BROAD_PERICARDIUM: 0.25,
        SPECULAR: 0.2,
        DROPOUT: 0.2,
        GREY_MAP: 0.2,
    }
)
"""Shares of the other training strips that are drawn in each manner; they may come together."""
MANNERS = tuple(SHARES)


PLAIN = 0.25
"""Share of the training strips without any."""
SALT = 18
"""Sets the random numbers of the choice apart from those of the drawing."""


def some_manners(seed: int) -> frozenset[str]:
    """Return the manners of the training strip of a seed."""
    rng = np.random.default_rng((seed, SALT))
    if rng.random() < PLAIN:
        return frozenset()
    return frozenset(name for name, share in SHARES.items() if rng.random() < share)
