"""The settings of one training run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inference.labelled import LabelledStrip
from inference.networks.weights import WeightsRecord
from inference.training.stream import Mix

RESUMED = 1_000_003
"""Offset of the seed of a resumed run."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings and seed of a run, stored in the weights record."""

    steps: int
    batch: int
    seed: int
    held_out: int
    """Validation phantoms, from another range of seeds."""
    version: str
    workers: int = 1
    """Processes that make examples; 0: the training process itself."""
    phantoms: int = 0
    """Number of different phantoms; 0: unlimited."""
    first_phantom: int = 0
    """Offset of the first one; an update should use others than the run before it."""
    data: tuple[Path, ...] = field(default_factory=tuple)
    """Folders of real tracings (see `inference.training.datasets`)."""
    data_weight: float = 0.5
    """Share of the examples from `data`, if there are any."""
    update: Path | None = None
    """Weights folder to continue from with new data (patent claim 5); None: untrained networks."""
    detector: Path | None = None
    """Weights folder of the detector that finds hard negatives; None: boxes at random."""
    learning_rate: float | None = None
    """Highest learning rate; None: that of an untrained network."""
    device: str = "auto"
    resume: bool = False
    """Continue from the checkpoint in the output folder, if there is one, with other random numbers."""

    @property
    def stream_seed(self) -> int:
        """Seed of the examples; a resumed run gets other examples."""
        return self.seed + RESUMED * self.resume

    def mix(self, real: Sequence[LabelledStrip], *, reuse: float) -> Mix:
        """The training material of this run."""
        return Mix(
            reuse=reuse,
            real=real,
            real_share=self.data_weight if real else 0.0,
            phantoms=self.phantoms,
            first_phantom=self.first_phantom,
        )

    def record(self, updated: WeightsRecord | None) -> Mapping[str, object]:
        """The entry `training` of the weights record; names of data sets, no paths.

        `updated` is the record of the weights this run started from, if any.
        """
        kept = {
            name: value
            for name, value in asdict(self).items()
            if name not in {"version", "data", "device", "resume", "workers", "update", "detector"}
        }
        data = ["phantom", *(folder.name for folder in self.data)]
        before = {"sha256": updated.sha256, **updated.training} if updated else None
        return kept | {"data": data, "updated_from": before}
