"""The worker's side of the process that runs the networks."""

from collections.abc import Sequence
from functools import partial

import structlog

from dicom_node.errors import AnalysisFailed, AnalysisStopped
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadNetworks
from dicom_node.study.sandbox.loaded_process import LoadedProcess, ProcessEnded, Replaceable
from dicom_node.study.sandbox.messages import Decoded, Failure, Measured, encode
from inference.types import StripResult

log = structlog.get_logger()

TRIES = 2


class NetworksProcess(LoadedProcess):
    """One process with the networks."""

    program = "dicom_node.study.sandbox.networks_child"

    def measure(self, decoded: Decoded, memory: int, limit_s: float) -> object:
        """Return its answer; raises as `LoadedProcess` does."""
        found: object = self._ask(encode(decoded), limit_s, [memory])
        return found


class SandboxedNetworks(Replaceable[NetworksProcess]):
    """The networks in a process of their own, which is replaced when it fails."""

    def __init__(self, settings: Settings, load_networks: LoadNetworks) -> None:
        super().__init__(partial(NetworksProcess, settings, load_networks))
        self._limit_s = settings.job.image_timeout_s

    def measure(self, decoded: Decoded, memory: int) -> Sequence[StripResult]:
        """Return the results of one image, whose strips are in the memory.

        Raises:
            AnalysisStopped: it took too long, or the process died, twice.
            AnalysisFailed: it raised an unexpected exception.
            AnalyzerError: the networks cannot be loaded.
        """
        for _ in range(TRIES):
            self.model()
            try:
                return _strips(self.begin().measure(decoded, memory, self._limit_s))
            except TimeoutError as error:
                self.replace(why := f"was stopped after {self._limit_s:g} s")
                raise AnalysisStopped(f"the analysis {why}") from error
            except ProcessEnded as error:
                self.replace(why := str(error))
        raise AnalysisStopped(f"the analysis {why} (tried {TRIES} times)")

    def replace(self, why: str) -> None:
        """End the process; the next question starts another one."""
        log.warning("sandbox.stopped", because=f"the analysis {why}")
        self.end()


def _strips(found: object) -> Sequence[StripResult]:
    """Return the results in an answer; raises as `SandboxedNetworks.measure` does."""
    if isinstance(found, Measured):
        return found.strips
    if isinstance(found, Failure):
        raise AnalysisFailed(found.place)
    raise ProcessEnded("had not enough memory for the networks")
