"""The outcomes of a request to a peer. Each is a value: no association raises."""

from dataclasses import dataclass

from pydicom import Dataset

STATUS_SUCCESS = 0x0000
STATUS_DUPLICATE_SOP_INSTANCE = 0x0111


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The peer has the object: success (0x0000), a warning (0xBxxx) or "duplicate SOP instance" (0x0111)."""

    status: int


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The peer answered with a failure status (PS3.4 B.2.3, PS3.7 Annex C).

    The Error Comment is left out: it may quote patient data.
    """

    status: int

    def __str__(self) -> str:
        return f"refused with status 0x{self.status:04X}"


@dataclass(frozen=True, kw_only=True)
class _NoResponse:
    """The peer did not answer the request, for a reason in words."""

    why: str

    def __str__(self) -> str:
        return self.why


class Unreachable(_NoResponse):
    """No connection, association rejected for now or aborted, a protocol violation, or a timeout."""


class NotTried(_NoResponse):
    """The association ended at an object before this one, which says nothing about this one."""


class UnknownAETitle(_NoResponse):
    """The peer rejected the association because it does not know one of the AE titles."""


class Unsupported(_NoResponse):
    """The peer rejected every presentation context in which the object could be sent."""


class Unreadable(_NoResponse):
    """The file to be sent is missing, damaged or not a DICOM file."""


NotAssociated = Unreachable | UnknownAETitle | Unsupported
Outcome = Accepted | Refused | NotAssociated | Unreadable | NotTried


def outcome_of(response: Dataset) -> Outcome:
    """Return the outcome for a response of pynetdicom; an empty data set means that none came."""
    if "Status" not in response:
        return Unreachable(why="the association was aborted or timed out before the answer came")
    return outcome_of_status(int(response.Status))


def outcome_of_status(status: int) -> Accepted | Refused:
    """Return the outcome for a DIMSE status (PS3.4 B.2.3, PS3.7 Annex C)."""
    if status in (STATUS_SUCCESS, STATUS_DUPLICATE_SOP_INSTANCE) or status >> 12 == 0xB:  # noqa: PLR2004 - 0xBxxx
        return Accepted(status=status)
    return Refused(status=status)
