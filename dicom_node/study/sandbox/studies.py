"""The analysis processes of a worker: one at a time, a new one for every study."""

from functools import partial

import structlog

from dicom_node.errors import AnalyzerError
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer
from dicom_node.study.sandbox.loaded_process import ProcessEnded, Replaceable
from dicom_node.study.sandbox.messages import Confined
from dicom_node.study.sandbox.template import AnalysisProcess, Template

log = structlog.get_logger()

TRIES = 2


class StudyProcesses(Replaceable[Template]):
    """The template and the analysis process of the present study."""

    def __init__(self, settings: Settings, load_analyzer: LoadAnalyzer) -> None:
        super().__init__(partial(Template, settings, load_analyzer))
        self._settings = settings
        self._study_uid: str | None = None
        self.process: AnalysisProcess | None = None
        self.confined: Confined | None = None
        """What the last one that was started has given up."""

    def end(self) -> None:
        """End all processes."""
        self.stop()
        super().end()

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
            try:
                process = self.begin().fork()
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
