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
from inference.image.reading import ImageFile, read_image
from inference.types import ModelIdentity, StripResult
from store.rows.instances import Instance

BuildResults = Callable[[Dataset, Sequence[StripResult], ReportContext], Sequence[ReportObject]]
"""Such as `report.build.build_results`."""


@dataclass(frozen=True, kw_only=True)
class ImageAnalyzer:
    """A `pipeline.Analyzer` in this process."""

    analyse: Analyse
    build_results: BuildResults
    model: ModelIdentity

    def examine(self, image: Instance, file: ImageFile) -> ImageResult:
        """Measure one stored file."""
        return examine(image, file, self.analyse)

    def report(self, result: ImageResult, file: ImageFile, context: ReportContext) -> list[ReportObject]:
        """Build the result objects of one stored file.

        Raises:
            UnreportableSource: the image lacks an identifying attribute, or its pixels cannot be decoded.
        """
        try:
            return list(self.build_results(read_image(file), result.strips, context))
        except InferenceError as error:
            raise UnreportableSource(str(error)) from error


LoadAnalyzer = Callable[[Settings], ImageAnalyzer]
"""Such as `load_analyzer`; tests pass others."""


def load_analyzer(settings: Settings) -> ImageAnalyzer:
    """Load the networks.

    Raises:
        WeightsMismatch: the weights are not those of their record.
    """
    # Imported here because torch takes seconds to load.
    from dicom_node.report.build import build_results  # noqa: PLC0415 - as above
    from inference.analyse import analyse, load_model  # noqa: PLC0415 - as above

    model = load_model(settings.inference.weights, settings.inference.device)
    return ImageAnalyzer(
        analyse=partial(analyse, model=model), build_results=build_results, model=model.identity
    )
