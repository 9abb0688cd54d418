"""An analyzer that reads, decodes and reports as the real one does, without networks.

What can be decoded is measured.
"""

from dataclasses import replace

from pydicom import Dataset

from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import ImageAnalyzer
from inference.errors import InferenceError, PixelDataError
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
