"""Summary of a data set; a wrong calibration shows as impossible lengths."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from inference.measure.formulas import measure
from inference.training.datasets.read import StripsOnDisk
from inference.types import LENGTHS

UNCERTAIN = "nominal"
"""Start of the attribute `calibration` of a strip whose scale is a guess."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean, least and greatest of some values."""

    mean: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """The range of at least one value."""
        return cls(mean=sum(values) / len(values), least=min(values), greatest=max(values))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Figures of one data set."""

    kinds: Mapping[str, int]
    """Strips of each kind, most frequent first."""
    cycles: int
    with_walls: int
    """Strips with wall curves."""
    nominal: int
    """Strips whose scale is a guess, so that lengths in cm are meaningless."""
    values: Mapping[str, Spread]
    """Over all cycles: the six lengths in cm, and RR_s; empty without cycles."""


def summarise(strips: StripsOnDisk) -> Summary:
    """Counts and ranges, from the labels alone."""
    records = strips.records
    values: dict[str, list[float]] = {name: [] for name in (*LENGTHS, "RR_s")}
    for record in records:
        for cycle in record.cycles:
            rr_s = (cycle.box_px[2] - cycle.box_px[0]) * record.image.s_per_px_x
            measured = measure(cycle.landmarks_px, record.image.calibration, rr_s=rr_s) | {"RR_s": rr_s}
            for name, found in values.items():
                found.append(measured[name])
    guessed = [record.image.attributes.get("calibration", "").startswith(UNCERTAIN) for record in records]
    return Summary(
        kinds=dict(Counter(record.image.kind for record in records).most_common()),
        cycles=len(values["RR_s"]),
        with_walls=sum(record.image.walls is not None for record in records),
        nominal=sum(guessed),
        values={name: Spread.of(found) for name, found in values.items() if found},
    )
