"""A data set as the networks need it: the strips of its regions as arrays, and why those are not there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset

from inference.errors import InferenceError, PixelDataError
from inference.image.patient import patient_of
from inference.image.pixels import readable_strips
from inference.image.regions import mmode_regions
from inference.types import UNKNOWN_PATIENT, MModeRegion, MModeStrip, Patient, RefusedFrame, StripResult


@dataclass(frozen=True, kw_only=True)
class DecodedRegion:
    """One M-mode region: its strips, or a refusal."""

    region: MModeRegion
    strips: tuple[MModeStrip, ...] = ()
    refused: tuple[RefusedFrame, ...] = ()
    refusal: StripResult | None = None


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """The regions of one image in the order of the data set; without any, a refusal."""

    patient: Patient = UNKNOWN_PATIENT
    regions: tuple[DecodedRegion, ...] = ()
    refusal: StripResult | None = None


def decoded(dataset: Dataset) -> DecodedImage:
    """Decode every strip of a data set that is to be measured."""
    try:
        regions = mmode_regions(dataset)
    except InferenceError as error:
        return DecodedImage(refusal=refusal(error))
    return DecodedImage(
        patient=patient_of(dataset), regions=tuple(decoded_region(dataset, each) for each in regions)
    )


def decoded_region(dataset: Dataset, region: MModeRegion) -> DecodedRegion:
    """Decode the strips of one region; a frame that cannot be decoded costs only itself."""
    refused: list[RefusedFrame] = []
    try:
        strips = tuple(readable_strips(dataset, region, refused))
    except InferenceError as error:
        return DecodedRegion(region=region, refusal=refusal(error, region))
    return DecodedRegion(region=region, strips=strips, refused=tuple(refused))


def refusal(error: InferenceError, region: MModeRegion | None = None, frame: int = 0) -> StripResult:
    """Return a result without numbers, with the reason and message of `error`."""
    return StripResult(
        status="not_measured", reason=error.reason, detail=str(error), region=region, frame=frame
    )


def unread(refused: Sequence[RefusedFrame], region: MModeRegion) -> StripResult:
    """Return the result of a region none of whose frames, at least one, could be decoded."""
    frames = by_frame(refused)
    why = refusal(PixelDataError(refused[0].detail), region)
    return replace(why, refused_frames=frames if len(frames) > 1 else ())


def by_frame(refused: Sequence[RefusedFrame]) -> tuple[RefusedFrame, ...]:
    """Return refused frames in ascending order."""
    return tuple(sorted(refused, key=lambda each: each.frame))
