"""What the worker and its analysis process say to each other: pickled, plain, frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import LoadAnalyzer
from inference.types import ModelIdentity


@dataclass(frozen=True, kw_only=True)
class Start:
    """To the child, once: load these steps, by these settings."""

    load_analyzer: LoadAnalyzer
    """A function of a module, since it crosses by name."""
    settings: Settings


@dataclass(frozen=True, kw_only=True)
class Ready:
    """From the child, once: the networks are loaded."""

    model: ModelIdentity


@dataclass(frozen=True, kw_only=True)
class Request:
    """To the child: call this step."""

    step: Literal["examine", "report"]
    arguments: tuple[Any, ...]
    context: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """From the child: what the step returned."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """From the child: the sentence of an error that is no mistake of ours."""

    sentence: str


@dataclass(frozen=True, kw_only=True)
class OutOfMemory:
    """From the child: the step needed more than it may have."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """From the child: a mistake of ours, named by its place."""

    place: str


@dataclass(frozen=True, kw_only=True)
class TimedOut:
    """Instead of a reply: there was none in time. The child goes on and must be killed."""


@dataclass(frozen=True, kw_only=True)
class Died:
    """Instead of a reply: the child ended."""

    cause: str


Reply = Ready | Answer | Refusal | OutOfMemory | Failure
Outcome = Reply | TimedOut | Died
