"""From a DICOM data set to measured strips: regions, cycles, landmarks, values, acceptance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydicom import Dataset
from torch import nn
from torchvision.models.detection import FasterRCNN

from inference.errors import InferenceError, NoCycle
from inference.image.decoded import DecodedImage, DecodedRegion, by_frame, decoded, refusal, unread
from inference.measure.acceptance import Located, confident, left_ventricles, plausible
from inference.measure.clinical_limits import limits_for
from inference.measure.intervals import Residuals, with_intervals
from inference.measure.plausibility import agreeing, check_rate, crosses_gap
from inference.measure.withholding import too_doubtful
from inference.networks.detector import detect, load_detector
from inference.networks.device import pick_device, use_all_cores
from inference.networks.landmarks import build_landmark_net, locate
from inference.networks.preprocessing import CROP_INPUT
from inference.networks.weights import SHIPPED, identity, load_weights
from inference.types import (
    UNKNOWN_PATIENT,
    CycleBox,
    MModeStrip,
    ModelIdentity,
    Patient,
    StripResult,
)

MOST_CYCLES = 6
"""Most cycles located on a strip; more take time and hardly change the mean."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """Both networks on one device, with their thresholds and error model."""

    identity: ModelIdentity
    detector: FasterRCNN
    landmarks: nn.Module
    device: torch.device
    threshold: float
    """Least detector probability of a cycle."""
    lv_threshold: float
    """Least probability, by the landmark network, of a left ventricle at chordal level."""
    certainty_threshold: float
    """Least certainty of the least certain landmark."""
    residuals: Residuals
    """Errors of lengths and rate on validation strips, for the 95 % intervals."""


def load_model(weights: str = "", device: str = "auto") -> Model:
    """Load both networks from a weights folder (empty: the shipped one) onto a device.

    Raises:
        WeightsMismatch: a file is missing or not the one its record describes.
    """
    folder, where = Path(weights) if weights else SHIPPED, pick_device(device)
    detector, cycles = load_detector(folder)
    landmarks_state, landmarks = load_weights(folder, "landmarks", CROP_INPUT)
    locator = build_landmark_net(landmarks.head)
    locator.load_state_dict(landmarks_state)
    model = Model(
        identity=identity(cycles, landmarks),
        detector=detector.to(where, memory_format=torch.channels_last).eval(),
        landmarks=locator.to(where).eval(),
        device=where,
        threshold=cycles.threshold,
        lv_threshold=landmarks.heart_threshold,
        certainty_threshold=landmarks.certainty_threshold,
        residuals=landmarks.residuals,
    )
    use_all_cores()  # from now on: loading starts no threads, so that a process can be forked from this one
    return model


def analyse(dataset: Dataset, model: Model) -> list[StripResult]:
    """Measure every M-mode region, in the order of the data set; one refusal if there is none."""
    return measure(decoded(dataset), model)


def measure(image: DecodedImage, model: Model) -> list[StripResult]:
    """Measure every region of a decoded image; its refusal if it has none."""
    if image.refusal is not None:
        return [image.refusal]
    return [measure_region(each, model, image.patient) for each in image.regions]


def measure_region(region: DecodedRegion, model: Model, patient: Patient) -> StripResult:
    """The result of the frame whose chosen cycle is most probable; else a refusal with its reason.

    It names the frames that could not be decoded.
    """
    if region.refusal is not None:
        return region.refusal
    if not region.strips:
        return unread(region.refused, region.region)
    results = [analyse_strip(strip, model, patient) for strip in region.strips]
    return replace(max(results, key=rank), refused_frames=by_frame(region.refused))


def rank(result: StripResult) -> tuple[bool, float]:
    """Sort key: measured before refused, then the probability of the chosen cycle."""
    return result.measured, result.cycles[result.chosen].box.probability if result.cycles else 0.0


def analyse_strip(strip: MModeStrip, model: Model, patient: Patient = UNKNOWN_PATIENT) -> StripResult:
    """Detect the cycles of one strip and measure them."""
    return measure_boxes(strip, detect(model.detector, strip, model.device), model, patient)


def measure_boxes(
    strip: MModeStrip, found: Sequence[CycleBox], model: Model, patient: Patient = UNKNOWN_PATIENT
) -> StripResult:
    """Measure a strip whose detector boxes, most probable first, are known."""
    limits = limits_for(patient)
    try:
        boxes = probable_cycles(strip, found, model.threshold)
        located = locate_all(strip, boxes, model)
        lv_cycles = left_ventricles(located, model.lv_threshold)
        cycles = plausible(strip, confident(lv_cycles, model.certainty_threshold), limits)
        check_rate(cycles, patient.heart_rate_bpm, limits)
        used = agreeing(cycles, limits)
        values = with_intervals([cycles[i] for i in used], model.residuals)
        withheld = too_doubtful(values, limits)
    except InferenceError as error:
        return refusal(error, strip.region, strip.frame)
    return StripResult(
        status="measured",
        frame=strip.frame,
        region=strip.region,
        cycles=tuple(cycles),
        chosen=max(used, key=lambda i: cycles[i].box.probability),
        used=used,
        measurements={name: value for name, value in values.items() if name not in withheld},
        withheld=withheld,
    )


def probable_cycles(strip: MModeStrip, found: Sequence[CycleBox], threshold: float) -> list[CycleBox]:
    """Boxes at or above the threshold that do not cross the sweep gap, at most `MOST_CYCLES`.

    Raises:
        NoCycle: there is none.
    """
    x0 = strip.region.x0
    probable = [
        cycle
        for cycle in found
        if cycle.probability >= threshold and not crosses_gap(strip.pixels, cycle.x0 - x0, cycle.x1 - x0)
    ]
    if not probable:
        best = found[0].probability if found else 0.0
        where = " and on one side of the sweep gap" if best >= threshold else ""
        raise NoCycle(f"most probable cycle {best:.2f}, needed {threshold:.2f}{where}")
    return probable[:MOST_CYCLES]


def locate_all(strip: MModeStrip, boxes: Sequence[CycleBox], model: Model) -> list[Located]:
    """The landmarks of every box, in the same order."""
    samples = locate(model.landmarks, strip, boxes, model.device)
    return [Located(box=box, samples=each) for box, each in zip(boxes, samples, strict=True)]
