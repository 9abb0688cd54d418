"""The analysis processes of a worker: one at a time, a new one for every study."""

import structlog

from dicom_node.errors import AnalyzerError
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer
from dicom_node.study.sandbox.loaded_process import ProcessEnded
from dicom_node.study.sandbox.messages import Confined
from dicom_node.study.sandbox.template import AnalysisProcess, Template
from inference.types import ModelIdentity

log = structlog.get_logger()

TRIES = 2


class StudyProcesses:
    """The template and the analysis process of the present study."""

    def __init__(self, settings: Settings, load_analyzer: LoadAnalyzer) -> None:
        self._settings, self._load_analyzer = settings, load_analyzer
        self._template: Template | None = None
        self._model: ModelIdentity | None = None
        self._study_uid: str | None = None
        self.process: AnalysisProcess | None = None
        self.confined: Confined | None = None
        """What the last one that was started has given up."""

    def begin(self) -> Template:
        """Start the template, which loads meanwhile."""
        self._template = Template(self._settings, self._load_analyzer)
        return self._template

    def end(self) -> None:
        """End all processes."""
        self.stop()
        if self._template is not None:
            self._template.kill()
        self._template = None

    def has_loaded(self, within_s: float) -> bool:
        """Tell whether `model` need not wait."""
        return self._template is None or self._template.has_loaded(within_s)

    def model(self) -> ModelIdentity:
        """Return the networks of the template; wait until they are loaded.

        Raises:
            AnalyzerError: they cannot be loaded, or the weights have changed since the worker started.
        """
        template = self._template or self.begin()
        try:
            model = template.model()
        except AnalyzerError:
            self.end()
            raise
        if model != (self._model or model):
            raise AnalyzerError("the weights are no longer those that the worker began with")
        self._model = model
        return model

    def of(self, study_uid: str | None) -> AnalysisProcess:
        """Return the process of a study: a new one where the last one has seen another study.

        Raises:
            AnalyzerError: none can be started, or it could do more than `job.sandbox` permits.
        """
        if self._study_uid not in (None, study_uid):
            self.stop()
        if self.process is None:
            self.process = self._started()
        self._study_uid = study_uid
        return self.process

    def replace(self, why: str) -> None:
        """End the present process; the next question starts another one."""
        log.warning("sandbox.stopped", because=why)
        self.stop()

    def stop(self) -> None:
        """End the present process."""
        if self.process is not None:
            self.process.end()
        self.process = None

    def _started(self) -> AnalysisProcess:
        for _ in range(TRIES):
            self.model()
            assert self._template is not None  # noqa: S101 - it has just named its model
            try:
                process = self._template.fork()
            except ProcessEnded as error:
                why = str(error)
                self.end()
                continue
            confined = process.confined()
            if isinstance(confined, Confined):
                self._check(confined, process)
                return process
            why = confined.cause
            process.end()
        raise AnalyzerError(f"the analysis {why} before it was given a file")

    def _check(self, confined: Confined, process: AnalysisProcess) -> None:
        self.confined = confined
        if confined.open and self._settings.job.sandbox == "require":
            process.end()
            can = ", ".join(confined.open)
            raise AnalyzerError(f'job.sandbox = "require", but here an analysis can {can}')
