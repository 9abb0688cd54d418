"""What the result objects of one image depend on, besides the image and its measurements."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dicom_node.report.objects import Predecessor
from dicom_node.report.plan import ReportPlan
from inference.types import ModelIdentity
from store.rows.results import Kind


@dataclass(frozen=True, kw_only=True)
class ReportContext:
    """Everything besides image and measurements that objects depend on; equal contexts give equal bytes."""

    model: ModelIdentity
    revision: int
    """Of the study, from 1."""
    predecessors: Mapping[Kind, Predecessor]
    """The reports that the new ones replace."""
    installation_uid: str
    """Stays with this installation; the observer of the report."""
    at: datetime
    """When the result was made, aware. Written as a local time in the source's offset from UTC; where
    the source states none, in the offset of `at` itself."""
    plan: ReportPlan

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("`at` must know its time zone")
        if self.revision < 1:
            raise ValueError(f"revisions count from 1, not {self.revision}")
