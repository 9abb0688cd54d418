"""The worker's side of the process that runs the networks."""

from collections.abc import Sequence

import structlog

from dicom_node.errors import AnalysisFailed, AnalysisStopped, AnalyzerError
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadNetworks
from dicom_node.study.sandbox.loaded_process import LoadedProcess, ProcessEnded
from dicom_node.study.sandbox.messages import Decoded, Failure, Measured, encode
from inference.types import ModelIdentity, StripResult

log = structlog.get_logger()

TRIES = 2


class NetworksProcess(LoadedProcess):
    """One process with the networks."""

    program = "dicom_node.study.sandbox.networks_child"

    def measure(self, decoded: Decoded, memory: int, limit_s: float) -> object:
        """Return its answer; raises as `LoadedProcess` does."""
        found: object = self._ask(encode(decoded), limit_s, [memory])
        return found


class SandboxedNetworks:
    """The networks in a process of their own, which is replaced when it fails."""

    def __init__(self, settings: Settings, load_networks: LoadNetworks) -> None:
        self._settings, self._load = settings, load_networks
        self._process: NetworksProcess | None = None
        self._model: ModelIdentity | None = None

    def begin(self) -> None:
        """Start the process, which loads the networks meanwhile."""
        if self._process is None:
            self._process = NetworksProcess(self._settings, self._load)

    def has_loaded(self, within_s: float) -> bool:
        """Tell whether `model` need not wait."""
        return self._process is None or self._process.has_loaded(within_s)

    def model(self) -> ModelIdentity:
        """Return the identity of the networks.

        Raises:
            AnalyzerError: they cannot be loaded, or the weights have changed since the worker started.
        """
        self.begin()
        assert self._process is not None  # noqa: S101 - begun
        try:
            model = self._process.model()
        except AnalyzerError:
            self.end()
            raise
        if model != (self._model or model):
            raise AnalyzerError("the weights are no longer those that the worker began with")
        self._model = model
        return model

    def measure(self, decoded: Decoded, memory: int) -> Sequence[StripResult]:
        """Return the results of one image, whose strips are in the memory.

        Raises:
            AnalysisStopped: it took too long, or the process died, twice.
            AnalysisFailed: it raised an unexpected exception.
            AnalyzerError: the networks cannot be loaded.
        """
        limit_s = self._settings.job.image_timeout_s
        for _ in range(TRIES):
            self.model()
            assert self._process is not None  # noqa: S101 - begun
            try:
                return _strips(self._process.measure(decoded, memory, limit_s))
            except TimeoutError as error:
                self.replace(why := f"was stopped after {limit_s:g} s")
                raise AnalysisStopped(f"the analysis {why}") from error
            except ProcessEnded as error:
                self.replace(why := str(error))
        raise AnalysisStopped(f"the analysis {why} (tried {TRIES} times)")

    def replace(self, why: str) -> None:
        """End the process; the next question starts another one."""
        log.warning("sandbox.stopped", because=f"the analysis {why}")
        self.end()

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
        self._process = None


def _strips(found: object) -> Sequence[StripResult]:
    """Return the results in an answer; raises as `SandboxedNetworks.measure` does."""
    if isinstance(found, Measured):
        return found.strips
    if isinstance(found, Failure):
        raise AnalysisFailed(found.place)
    raise ProcessEnded("had not enough memory for the networks")
