"""The four wall borders of a left ventricle over time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.phantom.motion import Curve, Rhythm


@dataclass(frozen=True, kw_only=True)
class Walls:
    """The four borders in cm at each column, and the beats that move them."""

    septum_outer: Curve
    septum_inner: Curve
    posterior_inner: Curve
    posterior_outer: Curve
    beats: Rhythm
    contraction: Curve
    """The posterior wall's contraction at each column, 0…1."""

    @property
    def cavity_cm(self) -> Curve:
        """Inner diameter at each column."""
        return self.posterior_inner - self.septum_inner

    @property
    def stacked(self) -> NDArray[np.float64]:
        """(4, columns), top to bottom."""
        return np.stack([self.septum_outer, self.septum_inner, self.posterior_inner, self.posterior_outer])

    def at(self, column: int) -> tuple[float, float, float, float]:
        """The four borders at one column, top to bottom."""
        return (
            float(self.septum_outer[column]),
            float(self.septum_inner[column]),
            float(self.posterior_inner[column]),
            float(self.posterior_outer[column]),
        )
