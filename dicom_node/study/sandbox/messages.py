"""The messages between the worker and its analysis process: frozen values, pickled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer
from dicom_node.study.image_result import ImageResult
from inference.types import ModelIdentity, StripResult
from store.rows.instances import Instance


@dataclass(frozen=True, kw_only=True)
class Start:
    """To the child, once: load the analyzer with these settings."""

    load_analyzer: LoadAnalyzer
    """A function at module level, as pickle passes it by name."""
    settings: Settings


@dataclass(frozen=True, kw_only=True)
class Ready:
    """From the child, once: the networks are loaded."""

    model: ModelIdentity


@dataclass(frozen=True, kw_only=True)
class Examine:
    """To the child: measure this file."""

    image: Instance
    path: Path


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """To the child: build the result objects of this file."""

    path: Path
    strips: Sequence[StripResult]
    context: ReportContext


Request = Examine | BuildReport


@dataclass(frozen=True, kw_only=True)
class Examined:
    """From the child: the answer to `Examine`."""

    result: ImageResult


@dataclass(frozen=True, kw_only=True)
class ReportBuilt:
    """From the child: the answer to `BuildReport`."""

    objects: Sequence[ReportObject]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """From the child: the message of an expected error."""

    sentence: str


@dataclass(frozen=True, kw_only=True)
class OutOfMemory:
    """From the child: the request exceeded the memory limit."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """From the child: an unexpected exception, by type and place, see `place_of`."""

    place: str


@dataclass(frozen=True, kw_only=True)
class TimedOut:
    """Instead of a reply: none came in time. The child is still busy and must be killed."""


@dataclass(frozen=True, kw_only=True)
class Died:
    """Instead of a reply: the child ended."""

    cause: str


Reply = Ready | Examined | ReportBuilt | Refusal | OutOfMemory | Failure
Outcome = Reply | TimedOut | Died
