"""The numbers that make one training run repeatable."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESUMED = 1_000_003


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How much of what, and the seed; stored in the weights record."""

    steps: int
    batch: int
    seed: int
    held_out: int
    """Phantoms to validate on, from another range of seeds."""
    version: str
    workers: int = 1
    """Processes that make examples; 0: the training process makes them itself."""
    phantoms: int = 0
    """Different phantoms at most; 0: new ones for ever."""
    data: tuple[Path, ...] = field(default_factory=tuple)
    """Folders of real tracings (see `inference.training.datasets`)."""
    data_weight: float = 0.5
    """Share of examples from `data`, when there are any."""
    device: str = "auto"
    resume: bool = False
    """Go on from the checkpoint in the output folder, if there is one, with other random numbers."""

    @property
    def stream_seed(self) -> int:
        """Seed of the examples: a resumed run must not see the same ones again."""
        return self.seed + RESUMED * self.resume

    def record(self) -> Mapping[str, object]:
        """The entry `training` of the weights record: what the data was, not where it lay."""
        kept = {
            name: value
            for name, value in asdict(self).items()
            if name not in {"version", "data", "device", "resume", "workers"}
        }
        return kept | {"data": ["phantom", *(folder.name for folder in self.data)]}
