"""An analyzer that works in a child process, and replaces the process when it crashes or hangs."""

from collections.abc import Sequence
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
from dicom_node.study.sandbox.messages import (
    BuildReport,
    Died,
    Examine,
    Examined,
    Failure,
    Outcome,
    OutOfMemory,
    Ready,
    Refusal,
    ReportBuilt,
    Request,
    Start,
)
from dicom_node.study.sandbox.process import AnalysisProcess
from inference.types import ModelIdentity, StripResult
from store.rows.instances import Instance

log = structlog.get_logger()

Expected = TypeVar("Expected", Examined, ReportBuilt)
START_LIMIT_S = 300.0
TRIES = 2
"""Attempts per request: a crash or lack of memory may be due to an earlier image or another program."""


class SandboxedAnalyzer:
    """A `pipeline.Analyzer` in a child process; use as a context manager.

    `settings.job` limits the time of one request, and its memory beyond that of the loaded networks.
    """

    def __init__(self, settings: Settings, load_analyzer: LoadAnalyzer) -> None:
        self._start = Start(settings=settings, load_analyzer=load_analyzer)
        self._limits = settings.job
        self._process: AnalysisProcess | None = None
        self._model: ModelIdentity | None = None

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int | None:
        """The id of the present process."""
        return self._process.pid if self._process else None

    @property
    def model(self) -> ModelIdentity:
        """The networks; waits until they are loaded, and raises as `examine` does."""
        self._ready()
        assert self._model is not None  # noqa: S101 - a process that is ready has said so
        return self._model

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one stored file; an image that exceeds the limits gets a result with that reason.

        Raises:
            AnalyzerError: no process can be started.
            AnalysisFailed: the analysis raised an unexpected exception.
        """
        try:
            return self._ask(Examine(image=image, path=path), Examined).result
        except AnalysisStopped as error:
            return unusable(image, str(error))

    def report(self, path: Path, strips: Sequence[StripResult], context: ReportContext) -> list[ReportObject]:
        """Build the result objects of one stored file.

        Raises:
            UnreportableSource: as `ImageAnalyzer.report` does.
            AnalysisStopped: the limits were exceeded.
            AnalyzerError, AnalysisFailed: as `examine` does.
        """
        return list(self._ask(BuildReport(path=path, strips=strips, context=context), ReportBuilt).objects)

    def _ask(self, request: Request, expected: type[Expected]) -> Expected:
        for _ in range(TRIES):
            outcome = self._ready().ask(request, limit_s=self._limits.image_timeout_s)
            if isinstance(outcome, expected):
                return outcome
            match outcome:
                case Refusal(sentence=sentence):
                    raise UnreportableSource(sentence)
                case Failure(place=place):
                    raise AnalysisFailed(place)
                case OutOfMemory():
                    why = f"the analysis needed more than {self._limits.image_memory_mb} MB"
                case Died(cause=cause):
                    why = f"the analysis {cause}"
                case _:
                    self._replace(why := f"the analysis was stopped after {self._limits.image_timeout_s:g} s")
                    raise AnalysisStopped(why)
            self._replace(why)
        raise AnalysisStopped(f"{why} (tried {TRIES} times)")

    def _ready(self) -> AnalysisProcess:
        """Return the process once its networks are loaded.

        Raises:
            AnalyzerError: they cannot be loaded, or the weights have changed since the worker started.
        """
        process = self._process or self._begin()
        if process.model is None:
            try:
                process.model = loaded(process.outcome(limit_s=START_LIMIT_S))
            except AnalyzerError:
                self._end()
                raise
        if process.model != (self._model or process.model):
            raise AnalyzerError("the weights are no longer those that the worker began with")
        self._model = process.model
        return process

    def _replace(self, why: str) -> None:
        log.warning("sandbox.stopped", because=why)
        self._end()
        self._begin()

    def _begin(self) -> AnalysisProcess:
        self._process = AnalysisProcess(self._start)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._process = None


def loaded(outcome: Outcome) -> ModelIdentity:
    """Return the identity of the networks from the first reply of a new process.

    Raises:
        AnalyzerError: the networks could not be loaded.
    """
    match outcome:
        case Ready(model=model):
            return model
        case Refusal(sentence=sentence):
            raise AnalyzerError(sentence)
        case Failure(place=place):
            raise AnalyzerError(f"the networks cannot be loaded: {place}")
        case Died(cause=cause):
            raise AnalyzerError(f"the analysis process {cause} before it was ready")
    raise AnalyzerError(f"the analysis process was not ready after {START_LIMIT_S:g} s")
