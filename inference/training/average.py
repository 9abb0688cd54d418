"""Average of several landmark networks that were trained on from the same weights: `echonode train average`.

Their mean errs less than each alone (Wortsman M et al., Model soups, ICML 2022), and takes no more time.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from inference.errors import WeightsMismatch
from inference.networks.preprocessing import CROP_INPUT
from inference.networks.weights import WeightsRecord, load_weights, save_weights

NETWORK = "landmarks"


def average_landmarks(folders: Sequence[Path], out: Path, version: str) -> WeightsRecord:
    """Write the mean of the landmark networks in `folders` into `out`, to be calibrated.

    Raises:
        WeightsMismatch: a folder has no valid weights, or those of another head.
        ValueError: fewer than two folders.
    """
    if len(folders) <= 1:
        raise ValueError("an average needs two weights folders or more")
    states, records = zip(*(load_weights(folder, NETWORK, CROP_INPUT) for folder in folders), strict=True)
    if len({record.head for record in records}) > 1:
        raise WeightsMismatch("the landmark networks have different heads")
    return save_weights(
        out,
        mean_state(states),
        network=NETWORK,
        head=records[0].head,
        version=version,
        input=CROP_INPUT,
        landmark_order=records[0].landmark_order,
        training={"average_of": [{"sha256": record.sha256, **record.training} for record in records]},
        measured={},
    )


def mean_state(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of every tensor of numbers; whole numbers, such as counts of batches, are the first's."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }
