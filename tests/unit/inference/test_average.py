"""`echonode train average`: one network of several that were trained on from the same weights."""

from pathlib import Path

import pytest
import torch

from inference.errors import WeightsMismatch
from inference.networks.landmarks import build_landmark_net
from inference.networks.preprocessing import CROP_INPUT
from inference.networks.weights import load_weights, save_weights
from inference.training.average import average_landmarks, mean_state
from inference.types import LANDMARK_ORDER


def weights(folder: Path, seed: int, head: str = "tracing") -> Path:
    """Write an untrained landmark network."""
    torch.manual_seed(seed)
    save_weights(
        folder,
        build_landmark_net(head).state_dict(),
        network="landmarks",
        head=head,
        version="1",
        input=CROP_INPUT,
        landmark_order=LANDMARK_ORDER,
        training={"seed": seed},
        measured={},
    )
    return folder


def test_every_number_is_the_mean_and_the_record_names_its_parts(tmp_path: Path) -> None:
    """The result loads as one network; its record holds the sha256 and the recipe of each part."""
    parts = [weights(tmp_path / name, seed) for seed, name in enumerate("ab")]

    record = average_landmarks(parts, tmp_path / "out", "2")

    (first, one), (second, other) = (load_weights(part, "landmarks", CROP_INPUT) for part in parts)
    found, _ = load_weights(tmp_path / "out", "landmarks", CROP_INPUT)
    build_landmark_net("tracing").load_state_dict(found)
    name = "trunk.stem.0.weight"
    assert torch.allclose(found[name], (first[name] + second[name]) / 2, atol=1e-3)
    assert not torch.equal(first[name], second[name])
    named = [(part["seed"], part["sha256"]) for part in record.training["average_of"]]
    assert named == [(0, one.sha256), (1, other.sha256)]


def test_counts_stay_whole() -> None:
    """The number of batches that batch normalisation has seen is no number to average."""
    found = mean_state([{"seen": torch.tensor(3), "w": torch.tensor(1.0)}] * 2)

    assert (found["seen"].item(), found["w"].item()) == (3, 1.0)


def test_what_cannot_be_averaged_is_refused(tmp_path: Path) -> None:
    """One network alone, and two of different heads."""
    one, other = weights(tmp_path / "a", 1), weights(tmp_path / "b", 1, "regression")

    with pytest.raises(ValueError, match="two weights folders"):
        average_landmarks([one], tmp_path / "out", "2")
    with pytest.raises(WeightsMismatch, match="different heads"):
        average_landmarks([one, other], tmp_path / "out", "2")
