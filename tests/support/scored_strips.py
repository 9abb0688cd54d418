"""Scored strips as an evaluation would hold them."""

from collections.abc import Sequence

from inference.evaluation.scored_strips import ScoredStrip
from inference.labelled import CycleTruth, LabelledStrip, mean_values
from inference.types import CycleBox, StripResult
from support.builders import texture
from support.measured_strips import CALIBRATION, cycle, strip_result

Box = tuple[float, float, float, float]


def labelled(*, name: str = "LV 1", cycles: int = 3, height: int = 400, kind: str = "LV") -> LabelledStrip:
    """Return a strip whose true cycles are those that `measured_strips.strip_result` finds."""
    made = [cycle(40.0 + 165 * number, length_px=160 + 2 * number) for number in range(cycles)]
    return LabelledStrip(
        name=name,
        kind=kind,
        pixels=texture(height, 600),
        calibration=CALIBRATION,
        cycles=tuple(CycleTruth(box_px=one.box.xyxy, landmarks_px=one.landmarks) for one in made),
    )


def boxes(*found: tuple[Box, float]) -> tuple[CycleBox, ...]:
    """Return detector boxes from (corners, probability)."""
    return tuple(
        CycleBox(x0=x0, y0=y0, x1=x1, y1=y1, probability=probability)
        for (x0, y0, x1, y1), probability in found
    )


def scored(
    strip: LabelledStrip | None = None,
    result: StripResult | None = None,
    detected: Sequence[CycleBox] | None = None,
) -> ScoredStrip:
    """Return a left ventricle that was measured exactly, unless told otherwise."""
    shown = strip or labelled()
    answer = result or strip_result()
    found = [one.box for one in answer.cycles] if detected is None else detected
    return ScoredStrip(
        name=shown.name,
        kind=shown.kind,
        truths=shown.cycles,
        values=mean_values(shown),
        result=answer,
        boxes=tuple(found),
        source=lambda: shown,
    )
