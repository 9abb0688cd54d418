"""The messages between the worker and its analysis processes: JSON with a schema.

JSON cannot say NaN or infinity, and nothing in it can run.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject
from dicom_node.study.image_result import ImageResult
from dicom_node.study.sandbox.channel import BadReply
from inference.types import MModeRegion, ModelIdentity, Patient, RefusedFrame, StripResult
from store.rows.instances import Instance

MAX_REQUEST_BYTES = 64 << 20
MAX_RESULT_BYTES = 16 << 20
"""Of the measurements of one image."""
MAX_REPORTS_BYTES = 512 << 20
"""Of the result objects of one image, overlays included."""
Line = Annotated[str, msgspec.Meta(max_length=1000)]
Text = Annotated[str, msgspec.Meta(max_length=2000)]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """One value of the protocol; its JSON names its class."""


class Start(Message, frozen=True):
    """To the template, once: load this analyzer."""

    analyzer: str
    """"module:function", such as `image_analyzer.load_decoder`."""
    settings: dict[str, Any]
    """The tables of `Settings` that the analysis needs."""


class Ready(Message, frozen=True):
    """From the template, once: the networks are loaded."""

    model: ModelIdentity


class Fork(Message, frozen=True):
    """To the template: start an analysis process on the socket that comes with this message."""


class Forked(Message, frozen=True):
    """From the template: the process id."""

    pid: int


class End(Message, frozen=True):
    """To the template: kill this analysis process, unless it ends by itself within `grace_s`."""

    pid: int
    grace_s: float


class Ended(Message, frozen=True):
    """From the template: how it ended."""

    exit_code: int
    """Negative: of this signal."""
    killed: bool
    """It did not end by itself."""


class Confined(Message, frozen=True):
    """From an analysis process, before it gets a file: what it has tried and could still do."""

    open: tuple[Line, ...]
    """Names of `confinement.PROMISES`; empty when all of them hold."""
    by: tuple[Line, ...]
    """The mechanisms in force."""


class Examine(Message, frozen=True):
    """To an analysis process: measure the file that comes with this message.

    Memory for the pixels comes, too, if there is a process of the networks.
    """

    image: Instance


class BuildReport(Message, frozen=True):
    """To an analysis process: build the result objects of the file that comes with this message."""

    result: ImageResult
    context: ReportContext


class Examined(Message, frozen=True):
    """The answer to `Examine`."""

    result: ImageResult


class ReportBuilt(Message, frozen=True):
    """The answer to `BuildReport`."""

    objects: tuple[ReportObject, ...]


class SharedStrip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The strip of one frame in shared memory, row by row."""

    frame: int
    offset: int


class SharedRegion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `DecodedRegion` without its pixels."""

    region: MModeRegion
    strips: tuple[SharedStrip, ...] = ()
    refused: tuple[RefusedFrame, ...] = ()
    refusal: StripResult | None = None


class Decoded(Message, frozen=True):
    """The answer of an `ImageDecoder` to `Examine`, and the question to the process of the networks."""

    result: ImageResult
    """Without strips."""
    patient: Patient
    regions: tuple[SharedRegion, ...]
    refusal: StripResult | None


class Measured(Message, frozen=True):
    """From the process of the networks."""

    strips: tuple[StripResult, ...]


class Refusal(Message, frozen=True):
    """The message of an expected error."""

    sentence: Text


class OutOfMemory(Message, frozen=True):
    """The request exceeded the memory limit."""


class Denied(Message, frozen=True):
    """The analysis tried what its process may not do."""

    place: Line


class Failure(Message, frozen=True):
    """An unexpected exception, by type and place, see `place_of`."""

    place: Line


class Lost(Message, frozen=True):
    """Instead of an answer: the process died, hung, or broke the rules; it must be replaced."""

    cause: str
    """As in "the analysis …"."""
    again: bool = True
    """Whether another process might fare better with the same file."""


Answer = Confined | Examined | Decoded | ReportBuilt | Refusal | OutOfMemory | Denied | Failure
Outcome = Answer | Lost
Order = Start | Fork | End
Report = Ready | Forked | Ended | Measured | OutOfMemory | Refusal | Failure


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question to an analysis process."""

    id: int
    do: Examine | BuildReport


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Its answer, with the number of the question; 0 is what it says unasked, once."""

    id: int
    answer: Answer
    log: Annotated[tuple[Line, ...], msgspec.Meta(max_length=100)] = ()
    """Log lines of this request."""


Body = TypeVar("Body")


def encode(message: object) -> bytes:
    """Return a value as JSON, as the plain types of it: pydicom's UID as text, numpy's scalars as numbers.

    Raises:
        TypeError: it holds something that JSON has no form for.
    """
    return msgspec.json.encode(message, enc_hook=_plain)


def decode(data: bytes, kind: Any, expected: type[Body]) -> Body:
    """Return the message in `data`.

    Args:
        data: JSON.
        kind: what `expected` may be, such as a union of messages.
        expected: the class of the result, for the type checker.

    Raises:
        BadReply: it is not of the schema; the sentence quotes nothing.
    """
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReply("sent a reply that is not of the schema") from error
    assert isinstance(found, expected)  # noqa: S101 - of the kind, which is of the class
    return found


def _plain(value: Any) -> Any:
    for base in (str, float, int):
        if isinstance(value, base):
            return base(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | AbstractSet):
        return list(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent")
