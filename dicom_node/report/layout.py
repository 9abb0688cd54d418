"""The choice of the place on a picture where a table hides least."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# The cost of hiding one pixel: up to 1 for detail, up to a quarter for brightness, and a little for
# distance, which decides between places of about equal cost.
FULL_DETAIL_GRADIENT: Final = 60.0
BRIGHTNESS_COST: Final = 0.25
DISTANCE_COST_PER_PX: Final = 1e-5
STEP_PX: Final = 2


class Box(NamedTuple):
    """An upright rectangle, in edge coordinates (see `Canvas`)."""

    x0: float
    y0: float
    x1: float
    y1: float

    def grown(self, margin: float) -> "Box":
        """Return the box with `margin` added on every side."""
        return Box(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def meets(self, other: "Box") -> bool:
        """Tell whether the two overlap."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def within(self, other: "Box") -> bool:
        """Tell whether this box lies inside the other."""
        return other.x0 <= self.x0 and self.x1 <= other.x1 and other.y0 <= self.y0 and self.y1 <= other.y1


class Cost:
    """The cost of hiding each pixel of a picture, (rows, columns, 3) uint8."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        gray = picture.astype(np.float32).mean(axis=2)
        down, across = np.gradient(gray)
        detail = np.minimum((np.abs(down) + np.abs(across)) / FULL_DETAIL_GRADIENT, 1)
        self._cost = detail + BRIGHTNESS_COST * gray / 255
        self._forbidden = np.zeros_like(self._cost)

    def add(self, box: Box, cost: float) -> None:
        """Increase the cost of every pixel of `box`."""
        self._cost[self._pixels(box)] += cost

    def forbid(self, box: Box) -> None:
        """Exclude every pixel of `box` from being hidden."""
        self._forbidden[self._pixels(box)] = 1

    def cheapest(
        self, sizes: Sequence[tuple[int, int]], *, near: tuple[float, float]
    ) -> tuple[int, Box] | None:
        """Return the index of the (width, height) in `sizes` and the place with the least cost.

        Among places of about equal cost, the one closest to `near` is chosen. None if no size has a place.
        """
        costs, forbidden = _integral(self._cost), _integral(self._forbidden)
        best: tuple[float, int, Box] | None = None
        for index, (width, height) in enumerate(sizes):
            if width > self._cost.shape[1] or height > self._cost.shape[0]:
                continue
            sums = _window_sums(costs, width, height)
            sums[_window_sums(forbidden, width, height) > 0] = np.inf
            top, left = np.mgrid[0 : sums.shape[0], 0 : sums.shape[1]] * STEP_PX
            far = np.hypot(left + width / 2 - near[0], top + height / 2 - near[1])
            price = sums + far * width * height * DISTANCE_COST_PER_PX
            row, column = np.unravel_index(np.argmin(price), price.shape)
            x, y = float(left[row, column]), float(top[row, column])
            if price[row, column] < (best[0] if best else np.inf):
                best = float(price[row, column]), index, Box(x, y, x + width, y + height)
        return best and best[1:]

    def _pixels(self, box: Box) -> tuple[slice, slice]:
        rows, columns = self._cost.shape
        x0, x1 = (round(min(max(x, 0), columns)) for x in (box.x0, box.x1))
        y0, y1 = (round(min(max(y, 0), rows)) for y in (box.y0, box.y1))
        return np.s_[y0:y1, x0:x1]


def _integral(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the integral image: sums over everything above and to the left, one row and column larger."""
    total: NDArray[np.float64] = np.pad(values, ((1, 0), (1, 0))).cumsum(0, dtype=np.float64).cumsum(1)
    return total


def _window_sums(integral: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Return the sums over a window at every place, in steps of `STEP_PX`."""
    sums = (
        integral[height:, width:]
        - integral[:-height, width:]
        - integral[height:, :-width]
        + integral[:-height, :-width]
    )
    return sums[::STEP_PX, ::STEP_PX]
