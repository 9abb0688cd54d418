"""Weights are used only if they are what their record says."""

import json
from pathlib import Path

import pytest
import torch

from inference.errors import WeightsMismatch
from inference.networks.weights import identity, load_weights, save_weights

INPUTS = {"height_px": 128.0}


def saved(folder: Path, network: str = "cycles") -> dict[str, torch.Tensor]:
    """A small state, written with its record."""
    state = {"layer.weight": torch.randn(3, 4), "bn.running_var": torch.rand(4), "bn.count": torch.tensor(7)}
    training = {"data": "phantom", "seed": 1}
    save_weights(
        folder,
        state,
        network=network,
        version="1",
        input=INPUTS,
        training=training,
        measured={"EF_percent": 3.0},
        threshold=0.5,
    )
    return state


def test_weights_come_back_in_single_precision(tmp_path: Path) -> None:
    """Stored in half precision, used in single; batch statistics and counters lose nothing."""
    state = saved(tmp_path)

    loaded, record = load_weights(tmp_path, "cycles", INPUTS)

    assert loaded["layer.weight"].dtype == torch.float32
    assert torch.allclose(loaded["layer.weight"], state["layer.weight"], atol=2e-3)
    assert torch.equal(loaded["bn.running_var"], state["bn.running_var"])
    assert torch.equal(loaded["bn.count"], state["bn.count"])
    assert record.threshold == 0.5


def test_one_changed_byte_is_refused(tmp_path: Path) -> None:
    """A file that is not the one its record describes is not loaded."""
    saved(tmp_path)
    path = tmp_path / "cycles.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(WeightsMismatch, match="its record says"):
        load_weights(tmp_path, "cycles", INPUTS)


def test_weights_for_another_input_are_refused(tmp_path: Path) -> None:
    """Weights made for another input geometry would give wrong numbers without an error."""
    saved(tmp_path)

    with pytest.raises(WeightsMismatch, match="were made for"):
        load_weights(tmp_path, "cycles", {"height_px": 160.0})


@pytest.mark.parametrize("damage", ["no record", "no weights", "broken record", "unknown field"])
def test_what_is_missing_or_broken_is_said(tmp_path: Path, damage: str) -> None:
    """A missing or unreadable file is a clear refusal that names the folder."""
    saved(tmp_path)
    record = tmp_path / "cycles.json"
    if damage == "no record":
        record.unlink()
    elif damage == "no weights":
        (tmp_path / "cycles.safetensors").unlink()
    elif damage == "broken record":
        record.write_text("{")
    else:
        record.write_text(json.dumps(json.loads(record.read_text()) | {"surprise": 1}))

    with pytest.raises(WeightsMismatch, match="no usable cycles weights"):
        load_weights(tmp_path, "cycles", INPUTS)


def test_the_pair_has_one_identity(tmp_path: Path) -> None:
    """Changing either network changes the sha256 that reports and audit rows carry."""
    saved(tmp_path / "a", "cycles")
    saved(tmp_path / "b", "cycles")
    _, one = load_weights(tmp_path / "a", "cycles", INPUTS)
    _, two = load_weights(tmp_path / "b", "cycles", INPUTS)

    assert identity(one, one).sha256 != identity(one, two).sha256 != identity(two, one).sha256
