"""Measuring a kept file and building its report objects: what needs the networks and highdicom."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom import Dataset

from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject, UnreportableSource
from dicom_node.settings import Settings
from dicom_node.study.image_result import Analyse, ImageResult, examine
from inference.errors import InferenceError
from inference.image.reading import read_image
from inference.types import ModelIdentity, StripResult
from store.rows.instances import Instance

BuildResults = Callable[[Dataset, Sequence[StripResult], ReportContext], Sequence[ReportObject]]


@dataclass(frozen=True, kw_only=True)
class ImageAnalyzer:
    """Measures and reports in this process."""

    analyse: Analyse
    build_results: BuildResults
    model: ModelIdentity

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one kept file."""
        return examine(image, path, self.analyse)

    def report(self, path: Path, strips: Sequence[StripResult], context: ReportContext) -> list[ReportObject]:
        """Build the objects of one kept file.

        Raises:
            UnreportableSource: the image cannot be referred to, or no longer be decoded.
        """
        try:
            return list(self.build_results(read_image(path), strips, context))
        except InferenceError as error:
            raise UnreportableSource(str(error)) from error


LoadAnalyzer = Callable[[Settings], ImageAnalyzer]


def load_analyzer(settings: Settings) -> ImageAnalyzer:
    """Load the networks, once; imported here because torch takes seconds."""
    from dicom_node.report.build import build_results  # noqa: PLC0415 - as above
    from inference.analyse import analyse, load_model  # noqa: PLC0415 - as above

    model = load_model(settings.inference.weights, settings.inference.device)
    return ImageAnalyzer(
        analyse=partial(analyse, model=model), build_results=build_results, model=model.identity
    )
