"""The plan of the result objects: which kinds are made, in which variant, for which destinations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination
from store.rows.results import Kind

WITHOUT_DESTINATION: frozenset[Kind] = frozenset({"tid5200", "overlay"})
"""The kinds that are made when no destination is configured."""


@dataclass(frozen=True, kw_only=True)
class ReportPlan:
    """The settings that concern result objects."""

    by_destination: Mapping[str, frozenset[Kind]]
    """The kinds by name of the destination."""
    per_beat: bool = False
    """Report every beat besides the mean."""
    overlay_refusals: bool = False
    """Make an overlay, and in TID 1500 a coded reason, for strips that could not be measured."""
    snomed: Literal["SCT", "SRT"] = "SCT"
    default_charset: str = "ISO_IR 100"
    """For 8-bit texts of a source without Specific Character Set."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the plan of these settings."""
        return cls(
            by_destination={each.name: kinds_for(each) for each in settings.destinations},
            per_beat=settings.report.per_beat,
            overlay_refusals=settings.report.overlay_refusals,
            snomed=settings.codes.snomed,
            default_charset=settings.report.default_charset,
        )

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds to make."""
        return (
            frozenset().union(*self.by_destination.values()) if self.by_destination else WITHOUT_DESTINATION
        )

    @property
    def variant(self) -> str:
        """A part of derived UIDs that differs between objects of equal measurements but other content."""
        return f"{self.snomed} {'beats' if self.per_beat else 'mean'}"

    def destinations(self, kind: Kind) -> list[str]:
        """Return the names of the destinations that get objects of a kind."""
        return [name for name, kinds in self.by_destination.items() if kind in kinds]


def kinds_for(destination: Destination) -> frozenset[Kind]:
    """Return the kinds that a destination is configured to get."""
    pictures: dict[Kind, bool] = {
        "overlay": destination.overlay,
        "presentation_state": destination.presentation_state,
    }
    return frozenset(destination.sr) | {kind for kind, asked_for in pictures.items() if asked_for}
