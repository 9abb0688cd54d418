"""An analyzer that works in processes of its own, one per study, and replaces those that fail."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import structlog

from dicom_node.errors import AnalysisFailed, AnalysisStopped, AnalyzerError
from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject, UnreportableSource
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer
from dicom_node.study.image_result import ImageResult, unusable
from dicom_node.study.sandbox.channel import BadReply
from dicom_node.study.sandbox.messages import (
    BuildReport,
    Confined,
    Denied,
    Examine,
    Examined,
    Failure,
    Lost,
    Outcome,
    OutOfMemory,
    Refusal,
    ReportBuilt,
)
from dicom_node.study.sandbox.process import AnalysisProcess, Template, TemplateEnded
from dicom_node.study.sandbox.validation import check_objects, check_result
from inference.types import ModelIdentity
from store.rows.instances import Instance

log = structlog.get_logger()

Expected = TypeVar("Expected", Examined, ReportBuilt)
TRIES = 2
"""Attempts per request: a crash or lack of memory may be due to an earlier image or another program."""


class SandboxedAnalyzer:
    """A `pipeline.Analyzer` in other processes; use as a context manager.

    `settings.job` limits the time of one request, and its memory beyond that of the loaded networks.
    """

    def __init__(self, settings: Settings, load_analyzer: LoadAnalyzer) -> None:
        self._settings, self._load_analyzer = settings, load_analyzer
        self._limits = settings.job
        self._template: Template | None = None
        self._model: ModelIdentity | None = None
        self._process: AnalysisProcess | None = None
        self._study_uid: str | None = None
        self._confined: Confined | None = None

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int | None:
        """The id of the present analysis process."""
        return self._process.pid if self._process else None

    @property
    def model(self) -> ModelIdentity:
        """The networks; waits until they are loaded, and raises as `examine` does."""
        self._ready()
        assert self._model is not None  # noqa: S101 - a template that is ready has said so
        return self._model

    @property
    def confined(self) -> Confined:
        """What analysis processes on this machine give up; raises as `examine` does.

        Raises:
            AnalyzerError: `job.sandbox` is "require", and they could do more than they should.
        """
        if self._confined is None:
            self._analysis(None)
        assert self._confined is not None  # noqa: S101 - an analysis process that started has said so
        return self._confined

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one stored file; an image that exceeds the limits gets a result with that reason.

        Raises:
            AnalyzerError: no process can be started.
            AnalysisFailed: the analysis raised an unexpected exception.
        """

        def check(answer: Examined) -> None:
            check_result(answer.result, image)

        try:
            result = self._ask(image, Examine(image=image), path, Examined, check).result
        except AnalysisStopped as error:
            return unusable(image, str(error))
        except OSError as error:
            return unusable(image, f"the file cannot be read: {type(error).__name__}")
        return replace(result, image=image)

    def report(self, result: ImageResult, path: Path, context: ReportContext) -> list[ReportObject]:
        """Build the result objects of one stored file.

        Raises:
            UnreportableSource: as `ImageAnalyzer.report` does.
            AnalysisStopped: the limits were exceeded.
            AnalyzerError, AnalysisFailed: as `examine` does.
        """

        def check(answer: ReportBuilt) -> None:
            check_objects(answer.objects, result, context)

        request = BuildReport(result=result, context=context)
        try:
            return list(self._ask(result.image, request, path, ReportBuilt, check).objects)
        except OSError as error:
            raise UnreportableSource(f"the file cannot be read: {type(error).__name__}") from error

    def _ask(
        self,
        image: Instance,
        request: Examine | BuildReport,
        path: Path,
        expected: type[Expected],
        check: Callable[[Expected], None],
    ) -> Expected:
        why = ""
        for _ in range(TRIES):
            outcome = self._outcome(image, request, path)
            if isinstance(outcome, expected):
                try:
                    check(outcome)
                except BadReply as error:
                    outcome = Lost(cause=str(error))
                else:
                    return outcome
            why, again = self._what_happened(outcome)
            self._replace(why)
            if not again:
                raise AnalysisStopped(why)
        raise AnalysisStopped(f"{why} (tried {TRIES} times)")

    def _outcome(self, image: Instance, request: Examine | BuildReport, path: Path) -> Outcome:
        process = self._analysis(image.study_uid)
        with path.open("rb") as file:
            return process.ask(request, file, limit_s=self._limits.image_timeout_s)

    def _what_happened(self, outcome: Outcome) -> tuple[str, bool]:
        """Return why there is no answer, and whether to try again.

        Raises:
            UnreportableSource, AnalysisFailed: that is the answer.
        """
        match outcome:
            case Refusal(sentence=sentence):
                raise UnreportableSource(sentence)
            case Failure(place=place):
                raise AnalysisFailed(place)
            case OutOfMemory():
                return f"the analysis needed more than {self._limits.image_memory_mb} MB", True
            case Denied(place=place):
                return f"the analysis tried what it may not do: {place}", True
            case Lost(cause=cause, again=again):
                return f"the analysis {cause}", again
        return "the analysis answered another question", True

    def _ready(self) -> Template:
        """Return the template once its networks are loaded.

        Raises:
            AnalyzerError: they cannot be loaded, or the weights have changed since the worker started.
        """
        template = self._template or self._begin()
        try:
            model = template.model()
        except AnalyzerError:
            self._end()
            raise
        if model != (self._model or model):
            raise AnalyzerError("the weights are no longer those that the worker began with")
        self._model = model
        return template

    def _analysis(self, study_uid: str | None) -> AnalysisProcess:
        """Return the process for a study: a new one where the last one has seen another study.

        Raises:
            AnalyzerError: none can be started, or it could do more than `job.sandbox` permits.
        """
        if self._process is not None and self._study_uid not in (None, study_uid):
            self._stop_process()
        if self._process is None:
            self._process = self._started()
        self._study_uid = study_uid
        return self._process

    def _started(self) -> AnalysisProcess:
        for _ in range(TRIES):
            try:
                process = self._ready().fork()
            except TemplateEnded as error:
                why = str(error)
                self._end()
                continue
            confined = process.confined()
            if isinstance(confined, Confined):
                self._check(confined, process)
                return process
            why = confined.cause
            process.end()
        raise AnalyzerError(f"the analysis {why} before it was given a file")

    def _check(self, confined: Confined, process: AnalysisProcess) -> None:
        self._confined = confined
        if confined.open and self._limits.sandbox == "require":
            process.end()
            raise AnalyzerError(
                f'job.sandbox = "require", but here an analysis can {", ".join(confined.open)}'
            )

    def _replace(self, why: str) -> None:
        log.warning("sandbox.stopped", because=why)
        self._stop_process()

    def _stop_process(self) -> None:
        if self._process is not None:
            self._process.end()
        self._process = None

    def _begin(self) -> Template:
        self._template = Template(self._settings, self._load_analyzer)
        return self._template

    def _end(self) -> None:
        self._stop_process()
        if self._template is not None:
            self._template.kill()
        self._template = None
