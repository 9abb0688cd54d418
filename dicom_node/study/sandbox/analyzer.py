"""An analyzer that works in processes of its own, and replaces those that fail."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from dicom_node.errors import AnalysisFailed, AnalysisStopped
from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject, UnreportableSource
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer, LoadNetworks
from dicom_node.study.image_result import ImageResult, unusable
from dicom_node.study.sandbox.channel import BadReply
from dicom_node.study.sandbox.messages import (
    BuildReport,
    Confined,
    Decoded,
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
from dicom_node.study.sandbox.networks import SandboxedNetworks
from dicom_node.study.sandbox.shared_memory import check_decoded, shared_memory
from dicom_node.study.sandbox.studies import StudyProcesses
from dicom_node.study.sandbox.validation import check_objects, check_result
from inference.types import ModelIdentity
from store.rows.instances import Instance

TRIES = 2
"""Attempts per request: a crash or lack of memory may be due to an earlier image or another program."""


class SandboxedAnalyzer:
    """A `pipeline.Analyzer` in other processes; use as a context manager.

    `settings.job` limits the time of one request, and its memory beyond that of the loaded networks. With
    `load_networks` these run in a process of their own, and `load_analyzer` loads an `ImageDecoder`.
    """

    def __init__(
        self, settings: Settings, load_analyzer: LoadAnalyzer, load_networks: LoadNetworks | None = None
    ) -> None:
        self._limits = settings.job
        self._studies = StudyProcesses(settings, load_analyzer)
        self._networks = SandboxedNetworks(settings, load_networks) if load_networks else None

    def __enter__(self) -> Self:
        self._studies.begin()
        if self._networks is not None:
            self._networks.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._studies.end()
        if self._networks is not None:
            self._networks.end()

    @property
    def pid(self) -> int | None:
        """The id of the present analysis process."""
        return self._studies.process.pid if self._studies.process else None

    def has_loaded(self, within_s: float) -> bool:
        """Tell whether `model` need not wait, now or after some seconds."""
        if not self._studies.has_loaded(within_s):
            return False
        return self._networks is None or self._networks.has_loaded(within_s)

    @property
    def model(self) -> ModelIdentity:
        """The networks; waits until they are loaded, and raises as `examine` does."""
        decoder = self._studies.model()
        return decoder if self._networks is None else self._networks.model()

    @property
    def confined(self) -> Confined:
        """What analysis processes on this machine give up.

        Raises:
            AnalyzerError: as `examine` does, or `job.sandbox` is "require" and they could do too much.
        """
        if self._studies.confined is None:
            self._studies.of(None)
        assert self._studies.confined is not None  # noqa: S101 - a process that was started has said so
        return self._studies.confined

    def examine(self, image: Instance, path: Path) -> ImageResult:
        """Measure one stored file; an image that exceeds the limits gets a result with that reason.

        Raises:
            AnalyzerError: no process can be started.
            AnalysisFailed: the analysis raised an unexpected exception.
        """
        try:
            with shared_memory() if self._networks else nullcontext() as memory:
                return replace(self._examined(image, path, memory), image=image)
        except AnalysisStopped as error:
            return unusable(image, str(error))
        except OSError as error:
            return unusable(image, f"the file cannot be read: {type(error).__name__}")

    def _examined(self, image: Instance, path: Path, memory: int | None) -> ImageResult:
        def accept(outcome: Outcome) -> bool:
            match outcome:
                case Examined(result=result):
                    check_result(result, image)
                    return True
                case Decoded() if memory is not None:
                    check_decoded(outcome, image)
                    return True
            return False

        answer = self._ask(image, Examine(image=image), path, accept, memory=memory)
        if isinstance(answer, Decoded) and self._networks is not None and memory is not None:
            return replace(answer.result, strips=self._networks.measure(answer, memory))
        assert isinstance(answer, Examined)  # noqa: S101 - accepted
        return answer.result

    def report(self, result: ImageResult, path: Path, context: ReportContext) -> list[ReportObject]:
        """Build the result objects of one stored file.

        Raises:
            UnreportableSource: as `ImageAnalyzer.report` does.
            AnalysisStopped: the limits were exceeded.
            AnalyzerError, AnalysisFailed: as `examine` does.
        """

        def accept(outcome: Outcome) -> bool:
            if isinstance(outcome, ReportBuilt):
                check_objects(outcome.objects, result, context)
            return isinstance(outcome, ReportBuilt)

        request = BuildReport(result=result, context=context)
        try:
            answer = self._ask(result.image, request, path, accept)
        except OSError as error:
            raise UnreportableSource(f"the file cannot be read: {type(error).__name__}") from error
        assert isinstance(answer, ReportBuilt)  # noqa: S101 - accepted
        return list(answer.objects)

    def _ask(
        self,
        image: Instance,
        request: Examine | BuildReport,
        path: Path,
        accept: Callable[[Outcome], bool],
        *,
        memory: int | None = None,
    ) -> Outcome:
        """Return the first acceptable answer; `accept` raises BadReply for one that breaks a rule."""
        for _ in range(TRIES):
            outcome = self._outcome(image, request, path, memory)
            try:
                if accept(outcome):
                    return outcome
            except BadReply as error:
                outcome = Lost(cause=str(error))
            why, again = self._what_happened(outcome)
            self._studies.replace(why)
            if not again:
                raise AnalysisStopped(why)
        raise AnalysisStopped(f"{why} (tried {TRIES} times)")

    def _outcome(
        self, image: Instance, request: Examine | BuildReport, path: Path, memory: int | None
    ) -> Outcome:
        process = self._studies.of(image.study_uid)
        more = [] if memory is None else [memory]
        with path.open("rb") as file:
            return process.ask(request, [file.fileno(), *more], limit_s=self._limits.image_timeout_s)

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
