"""Errors of the node; each docstring is the sentence an operator reads."""


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


class Unparsable(NodeError):
    """The received bytes are not a DICOM data set."""


class IdentityMismatch(NodeError):
    """The data set is not the object that the C-STORE request announced."""


class ProtocolViolation(NodeError):
    """The peer broke the upper layer protocol, or a limit of ours."""
