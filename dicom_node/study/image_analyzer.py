"""Measurement of a stored image and construction of its result objects, in this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pydicom import Dataset

from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject, UnreportableSource
from dicom_node.settings import Settings
from dicom_node.study.image_result import Analyse, ImageResult, examine
from inference.errors import InferenceError
from inference.image.decoded import DecodedImage, decoded
from inference.image.reading import ImageFile, read_image
from inference.types import ModelIdentity, StripResult
from store.rows.instances import Instance

BuildResults = Callable[[Dataset, Sequence[StripResult], ReportContext], Sequence[ReportObject]]
"""Such as `report.build.build_results`."""


NO_NETWORKS = ModelIdentity(name="none", version="0", sha256="")
"""What a process without networks says that it has loaded."""


@dataclass(frozen=True, kw_only=True)
class ImageAnalyzer:
    """A `pipeline.Analyzer` in this process, which needs no networks beside it."""

    analyse: Analyse
    build_results: BuildResults
    model: ModelIdentity

    def examine(self, image: Instance, file: ImageFile) -> ImageResult:
        """Measure one stored file."""
        return examine(image, file, self.analyse)

    def report(self, result: ImageResult, file: ImageFile, context: ReportContext) -> list[ReportObject]:
        """Build the result objects of one stored file; raises as `build_report` does."""
        return build_report(self.build_results, result, file, context)


@dataclass(frozen=True, kw_only=True)
class ImageDecoder:
    """What decodes and reports; the networks run in another process, which it hands the pixels."""

    build_results: BuildResults
    model: ModelIdentity = NO_NETWORKS

    def decode(self, image: Instance, file: ImageFile) -> tuple[ImageResult, DecodedImage | None]:
        """Decode one stored file; return its result without strips, or one with a refusal."""
        found: list[DecodedImage] = []

        def analyse(dataset: Dataset) -> list[StripResult]:
            found.append(decoded(dataset))
            return []

        result = examine(image, file, analyse)
        return result, found[0] if found else None

    def report(self, result: ImageResult, file: ImageFile, context: ReportContext) -> list[ReportObject]:
        """Build the result objects of one stored file; raises as `build_report` does."""
        return build_report(self.build_results, result, file, context)


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The networks, which read arrays."""

    measure: Callable[[DecodedImage], Sequence[StripResult]]
    model: ModelIdentity
    on_cpu: bool = True
    """Nothing but memory is needed; the driver of an accelerator needs files and system calls of its own."""


def build_report(
    build_results: BuildResults, result: ImageResult, file: ImageFile, context: ReportContext
) -> list[ReportObject]:
    """Build the result objects of one stored file.

    Raises:
        UnreportableSource: the image lacks an identifying attribute, or its pixels cannot be decoded.
    """
    try:
        return list(build_results(read_image(file), result.strips, context))
    except InferenceError as error:
        raise UnreportableSource(str(error)) from error


Loaded = ImageAnalyzer | ImageDecoder
LoadAnalyzer = Callable[[Settings], Loaded]
"""Such as `load_decoder`; tests pass others."""
LoadNetworks = Callable[[Settings], Networks]


def load_decoder(settings: Settings) -> ImageDecoder:  # noqa: ARG001 - as every `LoadAnalyzer`
    """Load what decodes and reports, without torch."""
    from dicom_node.report.build import build_results  # noqa: PLC0415 - highdicom takes a second to load

    return ImageDecoder(build_results=build_results)


def load_networks(settings: Settings) -> Networks:
    """Load the networks onto the device of the settings.

    Raises:
        WeightsMismatch: the weights are not those of their record.
    """
    from inference.analyse import load_model, measure  # noqa: PLC0415 - torch takes seconds to load

    model = load_model(settings.inference.weights, settings.inference.device)
    on_cpu = model.device.type == "cpu"
    return Networks(measure=partial(measure, model=model), model=model.identity, on_cpu=on_cpu)
