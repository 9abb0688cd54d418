"""Which result objects are made, in which manner, and which destination gets which."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination
from store.rows.results import Kind

WITHOUT_DESTINATION: frozenset[Kind] = frozenset({"tid5200", "overlay"})
"""Made and kept although nobody is there to get them: `replay` delivers what a new destination asks for."""


@dataclass(frozen=True, kw_only=True)
class ReportPlan:
    """What the settings ask for."""

    by_destination: Mapping[str, frozenset[Kind]]
    per_beat: bool = False
    """Every beat beside the mean of them."""
    overlay_refusals: bool = False
    """A picture, and in TID 1500 a coded reason, of strips that could not be measured."""
    snomed: Literal["SCT", "SRT"] = "SCT"
    default_charset: str = "ISO_IR 100"
    """Of a source that holds 8-bit texts but names no character set."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What these settings ask for."""
        return cls(
            by_destination={each.name: kinds_for(each) for each in settings.destinations},
            per_beat=settings.report.per_beat,
            overlay_refusals=settings.report.overlay_refusals,
            snomed=settings.codes.snomed,
            default_charset=settings.report.default_charset,
        )

    @property
    def kinds(self) -> frozenset[Kind]:
        """All kinds that some destination wants."""
        return (
            frozenset().union(*self.by_destination.values()) if self.by_destination else WITHOUT_DESTINATION
        )

    @property
    def variant(self) -> str:
        """Tells objects apart that say the same in another way: part of their UIDs."""
        return f"{self.snomed} {'beats' if self.per_beat else 'mean'}"

    def destinations(self, kind: Kind) -> list[str]:
        """Who gets objects of this kind."""
        return [name for name, kinds in self.by_destination.items() if kind in kinds]


def kinds_for(destination: Destination) -> frozenset[Kind]:
    """The kinds that a destination is configured to get."""
    pictures: dict[Kind, bool] = {
        "overlay": destination.overlay,
        "presentation_state": destination.presentation_state,
    }
    return frozenset(destination.sr) | {kind for kind, asked_for in pictures.items() if asked_for}
