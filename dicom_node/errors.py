"""Errors of the node; each docstring is the sentence an operator reads."""

import traceback
from pathlib import Path


class NodeError(Exception):
    """The node could not do what was asked of it."""

    def __init__(self, detail: str = "") -> None:
        """Keep `detail` (what was found) beside the sentence of the class."""
        self.detail = detail
        super().__init__(detail or (type(self).__doc__ or "").strip())


class SettingsError(NodeError):
    """The settings are wrong; one line per mistake: key, value, what is allowed."""


class CannotListen(NodeError):
    """The DICOM port cannot be opened."""


class AnalyzerError(NodeError):
    """The analysis process cannot be started."""


class AnalysisStopped(NodeError):
    """The analysis of an image took too long, needed too much memory, or killed its process."""


class AnalysisFailed(NodeError):
    """The analysis process met a mistake of ours; the detail is its place, as `place_of` gives it."""


class Unparsable(NodeError):
    """The received bytes are not a DICOM data set."""


class IdentityMismatch(NodeError):
    """The data set is not the object that the C-STORE request announced."""


class TooManyReferences(NodeError):
    """A peer asks for storage commitment of more than is answered at once."""


class ProtocolViolation(NodeError):
    """The peer broke the upper layer protocol, or a limit of ours."""


def place_of(error: Exception) -> str:
    """Say what failed and where; not the message, which may quote the patient's data."""
    if isinstance(error, AnalysisFailed):
        return error.detail
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
