"""The numbers that make one training run repeatable."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How much of what, and the seed; stored in the weights record."""

    strips: int
    """Phantoms to train on."""
    steps: int
    batch: int
    seed: int
    held_out: int
    """Phantoms to validate on, from another range of seeds."""
    version: str

    def record(self) -> Mapping[str, object]:
        """The entry `training` of the weights record."""
        return {"data": "phantom"} | {
            name: value for name, value in asdict(self).items() if name != "version"
        }
