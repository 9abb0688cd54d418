"""The two steps that need networks or highdicom, on files; and where they come from in production."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dicom_node.report.objects import ReportObject, UnreportableSource
from dicom_node.settings import Settings
from dicom_node.study.image_result import Analyse, ImageResult, examine
from inference.errors import InferenceError
from inference.image.reading import read_image
from inference.types import ModelIdentity, StripResult
from store.rows.instances import Instance


@dataclass(frozen=True, kw_only=True)
class ImageAnalyzer:
    """Both steps, done in this process, and what makes the numbers."""

    analyse: Analyse
    build_results: Callable[..., Sequence[ReportObject]]
    model: ModelIdentity

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one kept file."""
        return examine(image, path, self.analyse)

    def report(self, path: Path, strips: Sequence[StripResult], **context: Any) -> list[ReportObject]:
        """Build the objects of one kept file; `circumstances` are those of `report.build_results`.

        Raises:
            UnreportableSource: the image cannot be referred to, or no longer be decoded.
        """
        try:
            return list(self.build_results(read_image(path), strips, model=self.model, **context))
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
