"""The input of the result objects besides the image and its measurements."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dicom_node.report.objects import Predecessor
from dicom_node.report.plan import ReportPlan
from inference.types import ModelIdentity
from store.rows.results import Kind


@dataclass(frozen=True, kw_only=True)
class ReportContext:
    """What the bytes of the objects depend on besides image and measurements."""

    model: ModelIdentity
    revision: int
    """Of the study, from 1."""
    predecessors: Mapping[Kind, Predecessor]
    """The reports of an earlier revision that the new ones replace."""
    installation_uid: str
    """Of this installation, the observer of the reports."""
    at: datetime
    """Creation time of the objects, aware; written as local time in the source's Timezone Offset From UTC,
    or in the offset of `at` if the source has none."""
    plan: ReportPlan

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("`at` must know its time zone")
        if self.revision < 1:
            raise ValueError(f"revisions count from 1, not {self.revision}")
