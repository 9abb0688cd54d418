"""The analysis process as the pipeline sees it: an analyzer that survives what an image does to it."""

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
from dicom_node.study.sandbox.process import Process
from inference.types import ModelIdentity, StripResult
from store.rows.instances import Instance

log = structlog.get_logger()

Expected = TypeVar("Expected", Examined, ReportBuilt)
START_LIMIT_S = 300.0
TRIES = 2
"""What died or ran out of memory may have been the victim of another image, or of another program."""


class SandboxedAnalyzer:
    """A `pipeline.Analyzer` whose work is done by a child process, replaced whenever it had to be stopped.

    Use as a context manager. `settings.job` says how long one request may take and how much memory it
    may take beyond what the networks do.
    """

    def __init__(self, settings: Settings, load_analyzer: LoadAnalyzer) -> None:
        self._start = Start(settings=settings, load_analyzer=load_analyzer)
        self._limits = settings.job
        self._process: Process | None = None
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
        """The id of the present process, which is another one after each that had to be stopped."""
        return self._process.pid if self._process else None

    @property
    def model(self) -> ModelIdentity:
        """What makes the numbers; waits until the networks are loaded, and raises as `examine` does."""
        self._ready()
        assert self._model is not None  # noqa: S101 - a process that is ready has said so
        return self._model

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one kept file; what cannot be done within the limits is a finding, too.

        Raises:
            AnalyzerError: no process can be started.
            AnalysisFailed: a mistake of ours.
        """
        try:
            return self._ask(Examine(image=image, path=path), Examined).result
        except AnalysisStopped as error:
            return unusable(image, str(error))

    def report(self, path: Path, strips: Sequence[StripResult], context: ReportContext) -> list[ReportObject]:
        """Build the objects of one kept file.

        Raises:
            UnreportableSource: as `ImageAnalyzer.report` does.
            AnalysisStopped: not within the limits.
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

    def _ready(self) -> Process:
        """Return the process once its networks are loaded.

        Raises:
            AnalyzerError: they cannot be, or are no longer those that the worker began with.
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

    def _begin(self) -> Process:
        self._process = Process(self._start)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._process = None


def loaded(outcome: Outcome) -> ModelIdentity:
    """Return the identity of the networks that a new process has loaded.

    Raises:
        AnalystError: it has not.
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
