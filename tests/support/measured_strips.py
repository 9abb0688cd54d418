"""Strip results as the measuring side would give them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inference.measure.formulas import measure
from inference.types import (
    Calibration,
    CycleBox,
    CycleMeasurement,
    Landmarks,
    MModeRegion,
    ModelIdentity,
    Point,
    StripResult,
    Value,
)

MODEL = ModelIdentity(name="test-model", version="1.2.3", sha256="0123456789abcdef" * 4)
CALIBRATION = Calibration(cm_per_px_y=0.04, s_per_px_x=0.005)


def cycle(
    start_px: float = 50.0, *, top_px: float = 60.0, length_px: float = 160.0, probability: float = 0.9
) -> CycleMeasurement:
    """Return one cycle with LVIDd 4.4 cm and LVIDs 3.0 cm at the calibration above."""
    landmarks = Landmarks(
        diastole=_column(start_px + 0.2 * length_px, [top_px + y for y in (20.25, 45.25, 155.25, 180.25)]),
        systole=_column(start_px + 0.55 * length_px, [top_px + y for y in (15.0, 50.0, 125.0, 165.0)]),
    )
    values = measure(landmarks, CALIBRATION, rr_s=length_px * CALIBRATION.s_per_px_x)
    return CycleMeasurement(
        box=CycleBox(
            x0=start_px, y0=top_px, x1=start_px + length_px, y1=top_px + 200, probability=probability
        ),
        landmarks=landmarks,
        values=values,
        spread={key: 0.02 * value for key, value in values.items()},
    )


def strip_result(
    cycles: Sequence[CycleMeasurement] | None = None,
    *,
    region_px: tuple[int, int, int, int] = (0, 0, 599, 399),
    index: int = 0,
    frame: int = 0,
) -> StripResult:
    """Return a measured strip that used all its cycles (by default three) and chose the last."""
    if cycles is None:
        cycles = [cycle(40.0 + 165 * number, length_px=160 + 2 * number) for number in range(3)]
    x0, y0, x1, y1 = region_px
    means = {key: float(np.mean([c.values[key] for c in cycles])) for key in cycles[0].values}
    return StripResult(
        status="measured",
        frame=frame,
        region=MModeRegion(x0=x0, y0=y0, x1=x1, y1=y1, calibration=CALIBRATION, index=index),
        cycles=tuple(cycles),
        chosen=len(cycles) - 1,
        used=tuple(range(len(cycles))),
        measurements={key: Value(value=v, ci95=(0.9 * v, 1.1 * v)) for key, v in means.items()},
    )


def hidden_septum() -> StripResult:
    """Return a measured strip whose septum is too doubtful to be reported."""
    whole = strip_result()
    withheld = ("IVSd_cm", "IVSs_cm", "LVmass_g")
    known = {key: value for key, value in whole.measurements.items() if key not in withheld}
    return replace(whole, measurements=known, withheld=withheld)


def refused(reason: str = "no_cycle") -> StripResult:
    """Return a strip that was not measured."""
    return StripResult(status="not_measured", reason=reason)


def looked_at_in_vain(reason: str = "no_cycle", detail: str = "most probable cycle 0.03") -> StripResult:
    """Return a strip whose file is in order and that could not be measured."""
    return StripResult(status="not_measured", reason=reason, detail=detail, region=strip_result().region)


def _column(x: float, rows: Sequence[float]) -> tuple[Point, Point, Point, Point]:
    first, second, third, fourth = ((x, y) for y in rows)
    return first, second, third, fourth
