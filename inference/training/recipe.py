"""The numbers that make one training run repeatable."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inference.labelled import LabelledStrip
from inference.networks.weights import WeightsRecord
from inference.training.stream import Mix

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
    first_phantom: int = 0
    """Number of the first one: an update should see others than the run before it."""
    data: tuple[Path, ...] = field(default_factory=tuple)
    """Folders of real tracings (see `inference.training.datasets`)."""
    data_weight: float = 0.5
    """Share of examples from `data`, when there are any."""
    update: Path | None = None
    """Weights folder to go on from with new data (patent claim 5); None: from nothing."""
    detector: Path | None = None
    """Weights folder of the detector whose mistakes on look-alikes the landmark network is shown; None:
    boxes from anywhere."""
    learning_rate: float | None = None
    """Highest learning rate; None: what suits a network that knows nothing."""
    device: str = "auto"
    resume: bool = False
    """Go on from the checkpoint in the output folder, if there is one, with other random numbers."""

    @property
    def stream_seed(self) -> int:
        """Seed of the examples: a resumed run must not see the same ones again."""
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
        """The entry `training` of the weights record: what the data was, not where it lay.

        `updated` is the record of the weights this run went on from, if it did.
        """
        kept = {
            name: value
            for name, value in asdict(self).items()
            if name not in {"version", "data", "device", "resume", "workers", "update", "detector"}
        }
        data = ["phantom", *(folder.name for folder in self.data)]
        before = {"sha256": updated.sha256, **updated.training} if updated else None
        return kept | {"data": data, "updated_from": before}
