"""An analyzer that reads, decodes and reports as the real one does, without networks.

What can be decoded is measured.
"""

import hashlib
import os
import signal
from dataclasses import replace

from pydicom import Dataset

from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import ImageAnalyzer, Networks
from inference.errors import InferenceError, PixelDataError
from inference.image.decoded import DecodedImage, DecodedRegion
from inference.image.patient import patient_of
from inference.image.pixels import readable_strips
from inference.image.regions import mmode_regions
from inference.types import MModeRegion, ModelIdentity, RefusedFrame, StripResult
from support import measured_strips

MODEL = ModelIdentity(name="decoding", version="1", sha256="d" * 64)


def decoding_analyzer(settings: Settings) -> ImageAnalyzer:  # noqa: ARG001 - the signature of `load_analyzer`
    """Return this analyzer."""
    from dicom_node.report.build import build_results  # noqa: PLC0415 - highdicom is slow to load

    return ImageAnalyzer(analyse=analyse, build_results=build_results, model=MODEL)


def analyse(dataset: Dataset) -> list[StripResult]:
    """Follow `inference.analyse.analyse`: an entry per region, or one refusal."""
    try:
        regions = mmode_regions(dataset)
    except InferenceError as error:
        return [refused(error)]
    patient_of(dataset)
    return [decoded(dataset, region) for region in regions]


def decoded(dataset: Dataset, region: MModeRegion) -> StripResult:
    """Decode every frame that would be looked at."""
    bad: list[RefusedFrame] = []
    try:
        strips = list(readable_strips(dataset, region, bad))
    except InferenceError as error:
        return refused(error)
    if not strips:
        return refused(PixelDataError(bad[0].detail))
    assert {each.pixels.shape for each in strips} == {(region.y1 - region.y0 + 1, region.x1 - region.x0 + 1)}
    return replace(
        measured_strips.strip_result(), region=region, frame=strips[-1].frame, refused_frames=tuple(bad)
    )


def refused(error: InferenceError) -> StripResult:
    """Return the refusal of one region or image."""
    return StripResult(status="not_measured", reason=error.reason, detail=str(error))


def decoding_networks(settings: Settings) -> Networks:  # noqa: ARG001 - the signature of `load_networks`
    """Return what stands for the networks where these run in another process."""
    return Networks(measure=measure, model=MODEL)


def measure(image: DecodedImage) -> list[StripResult]:
    """Return what `analyse` returns for the data set that was decoded, with a digest of its pixels.

    Strips that are all black kill this process.
    """
    if image.refusal is not None:
        return [image.refusal]
    return [_measured(each) for each in image.regions]


def _measured(decoded: DecodedRegion) -> StripResult:
    if decoded.refusal is not None:
        return decoded.refusal
    if not decoded.strips:
        return refused(PixelDataError(decoded.refused[0].detail))
    if not decoded.strips[-1].pixels.any():
        os.kill(os.getpid(), signal.SIGSEGV)
    return replace(
        measured_strips.strip_result(),
        region=decoded.region,
        frame=decoded.strips[-1].frame,
        refused_frames=decoded.refused,
        detail=hashlib.sha256(b"".join(each.pixels.tobytes() for each in decoded.strips)).hexdigest(),
    )
