"""Errors of the node; each docstring is the sentence an operator reads."""

import traceback
from enum import IntEnum
from pathlib import Path


class NodeError(Exception):
    """The node could not do what was asked of it."""

    def __init__(self, detail: str = "") -> None:
        """Use `detail` as the message; without one, the docstring of the class."""
        self.detail = detail
        super().__init__(detail or (type(self).__doc__ or "").strip())


class SettingsError(NodeError):
    """The settings are wrong; one line per mistake: key, value, what is allowed."""


class CannotListen(NodeError):
    """The DICOM port cannot be opened for listening."""


class AnalyzerError(NodeError):
    """The analysis process cannot be started."""


class AnalysisStopped(NodeError):
    """The analysis of an image took too long, needed too much memory, or killed its process."""


class AnalysisFailed(NodeError):
    """The analysis raised an unexpected exception; the detail is its type and place, see `place_of`."""


class Unparsable(NodeError):
    """The received bytes are not a DICOM data set."""


class IdentityMismatch(NodeError):
    """The UIDs of the data set are not those of the C-STORE request."""


class TooManyReferences(NodeError):
    """A storage commitment request has too many references, or too many requests of the peer are pending."""


class AbortReason(IntEnum):
    """Reason of an A-ABORT of the service provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER_VALUE = 6


class ProtocolViolation(NodeError):
    """The peer violated the upper layer protocol (PS3.8) or a limit of this node."""

    def __init__(self, message: str, abort_reason: AbortReason = AbortReason.INVALID_PARAMETER_VALUE) -> None:
        """Use `message`; `abort_reason` is told to the peer."""
        super().__init__(message)
        self.abort_reason = abort_reason


def place_of(error: Exception) -> str:
    """Return type, file and line of an exception; its message may quote patient data and is left out."""
    if isinstance(error, AnalysisFailed):
        return error.detail
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
