"""The recipe: region, strip, cycles, landmarks, centimetres, quality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydicom import Dataset
from torch import nn
from torchvision.models.detection import FasterRCNN

from inference.cycles import build_detector, detect
from inference.device import pick_device, use_all_cores
from inference.errors import Implausible, InferenceError, NoCycle
from inference.landmarks import LandmarkNet, LandmarkSamples, as_landmarks, locate
from inference.measure import lengths_cm, measure
from inference.pixels import frames_to_analyse, strip
from inference.preprocess import CROP_INPUT, DETECTOR_INPUT
from inference.quality import agreeing, check_cycle, crosses_gap
from inference.regions import mmode_regions
from inference.types import (
    CycleBox,
    CycleMeasurement,
    MModeRegion,
    MModeStrip,
    ModelIdentity,
    StripResult,
    Value,
)
from inference.weights import SHIPPED, identity, load_weights

MOST_CYCLES = 12
"""More beats than this add time, not knowledge."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """Both networks, loaded once, ready on one device."""

    identity: ModelIdentity
    detector: FasterRCNN
    landmarks: nn.Module
    device: torch.device
    threshold: float
    """Least probability of a cycle that is measured."""
    error: Mapping[str, float]
    """Root mean square error of each value on validation phantoms, from the weights record."""


def load_model(weights: str = "", device: str = "auto") -> Model:
    """The model from a weights folder (empty: the shipped one).

    Raises:
        WeightsMismatch: a file is not what its record says.
    """
    folder, where = Path(weights) if weights else SHIPPED, pick_device(device)
    use_all_cores()
    cycles_state, cycles = load_weights(folder, "cycles", DETECTOR_INPUT)
    landmarks_state, landmarks = load_weights(folder, "landmarks", CROP_INPUT)
    detector, locator = build_detector(cycles.seed_boxes_px), LandmarkNet()
    detector.load_state_dict(cycles_state)
    locator.load_state_dict(landmarks_state)
    return Model(
        identity=identity(cycles, landmarks),
        detector=detector.to(where).eval(),
        landmarks=locator.to(where).eval(),
        device=where,
        threshold=cycles.threshold,
        error=landmarks.measured,
    )


def analyse(dataset: Dataset, model: Model) -> list[StripResult]:
    """What every M-mode region of an image shows; one refusal for an image that has none."""
    try:
        regions = mmode_regions(dataset)
    except InferenceError as error:
        return [refusal(error)]
    return [analyse_region(dataset, region, model) for region in regions]


def analyse_region(dataset: Dataset, region: MModeRegion, model: Model) -> StripResult:
    """The best of the frames looked at: the one whose cycle is most probable, or the reason for none."""
    best: StripResult | None = None
    try:
        for frame in frames_to_analyse(dataset):
            result = analyse_strip(strip(dataset, region, frame), model)
            best = result if best is None or rank(result) > rank(best) else best
    except InferenceError as error:
        return best if best and best.measured else refusal(error, region)
    return best or refusal(NoCycle("the image has no frame"), region)


def rank(result: StripResult) -> tuple[bool, float]:
    """Measured before refused, then by the probability of the chosen cycle."""
    return result.measured, result.cycles[result.chosen].box.probability if result.cycles else 0.0


def refusal(error: InferenceError, region: MModeRegion | None = None, frame: int = 0) -> StripResult:
    """A result that says why there are no numbers."""
    return StripResult(
        status="not_measured", reason=error.reason, detail=str(error), region=region, frame=frame
    )


def analyse_strip(strip: MModeStrip, model: Model) -> StripResult:
    """Cycles, landmarks, centimetres and their agreement on one strip."""
    try:
        boxes = probable_cycles(strip, model)
        samples = locate(model.landmarks, strip, boxes, model.device)
        cycles = plausible(strip, boxes, samples)
        used = agreeing(cycles)
    except InferenceError as error:
        return refusal(error, strip.region, strip.frame)
    return StripResult(
        status="measured",
        frame=strip.frame,
        region=strip.region,
        cycles=tuple(cycles),
        chosen=max(used, key=lambda i: cycles[i].box.probability),
        used=used,
        measurements=summary([cycles[i] for i in used], model.error),
    )


def probable_cycles(strip: MModeStrip, model: Model) -> list[CycleBox]:
    """Cycles above the threshold, most probable first, none across the sweep gap.

    Raises:
        NoCycle: there is none.
    """
    found = detect(model.detector, strip, model.device)
    x0 = strip.region.x0
    probable = [
        cycle
        for cycle in found
        if cycle.probability >= model.threshold
        and not crosses_gap(strip.pixels, cycle.x0 - x0, cycle.x1 - x0)
    ]
    if not probable:
        best = found[0].probability if found else 0.0
        raise NoCycle(f"most probable cycle {best:.2f}, needed {model.threshold:.2f}")
    return probable[:MOST_CYCLES]


def plausible(
    strip: MModeStrip, boxes: Sequence[CycleBox], samples: Sequence[LandmarkSamples]
) -> list[CycleMeasurement]:
    """The cycles that can be a heart's, in order of time.

    Raises:
        Implausible: none can; the message is the first one's.
    """
    kept, complaints = [], []
    for box, sample in zip(boxes, samples, strict=True):
        try:
            kept.append(measured_cycle(strip, box, sample))
        except Implausible as error:
            complaints.append(error)
    if not kept:
        raise complaints[0]
    return sorted(kept, key=lambda cycle: cycle.box.x0)


def measured_cycle(strip: MModeStrip, box: CycleBox, samples: LandmarkSamples) -> CycleMeasurement:
    """Numbers of one cycle from its average landmarks, and their deviation over the crops."""
    calibration = strip.region.calibration
    rr_s = (box.x1 - box.x0) * calibration.s_per_px_x
    check_cycle(
        samples.mean, lengths_cm(samples.mean, calibration), rr_s=rr_s, s_per_px=calibration.s_per_px_x
    )
    values = measure(samples.mean, calibration, rr_s=rr_s)
    each = [measure(as_landmarks(points), calibration, rr_s=rr_s) for points in samples.points_px]
    spread = {name: float(np.std([one[name] for one in each])) for name in values}
    return CycleMeasurement(box=box, landmarks=samples.mean, values=values, spread=spread)


def summary(cycles: Sequence[CycleMeasurement], error: Mapping[str, float]) -> dict[str, Value]:
    """Mean over the cycles with a 95 % interval: spread over crops and beats, and the known error."""
    values = {}
    for name in cycles[0].values:
        mean = float(np.mean([cycle.values[name] for cycle in cycles]))
        between = float(np.var([cycle.values[name] for cycle in cycles])) / len(cycles)
        within = float(np.mean([cycle.spread[name] ** 2 for cycle in cycles]))
        half = 1.96 * float(np.sqrt(between + within + error.get(name, 0.0) ** 2))
        values[name] = Value(value=mean, ci95=(max(0.0, mean - half), mean + half))
    return values
