"""Weights files and the JSON record beside each: what the weights are, and the check that they are that.

The networks are `cycles.safetensors` and `landmarks.safetensors`. Numbers are stored in half precision
(batch statistics in single) and computed in single.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load, save
from torch import Tensor

from inference.errors import WeightsMismatch
from inference.measure.intervals import Residuals
from inference.types import ModelIdentity

SHIPPED = Path(__file__).parents[1] / "shipped"
MODEL_NAME = "echonode-mmode"


class WeightsRecord(BaseModel):
    """The contract of one weights file; the field names are those of the JSON file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    """`cycles` or `landmarks`."""
    version: str
    sha256: str
    input: Mapping[str, float]
    """Input geometry; must equal that of `preprocessing`."""
    preprocessing: str = "grayscale, whitening"
    head: str = ""
    """One of `landmarks.HEADS`; empty for the detector."""
    seed_boxes_px: tuple[tuple[float, float], ...] = ()
    """(width, height) of the detector's anchors."""
    threshold: float = 0.0
    """Least detector probability of a cycle."""
    heart_threshold: float = 0.0
    """Least lv_probability of the landmark network; 0 accepts all."""
    certainty_threshold: float = 0.0
    """Least certainty of the least certain landmark; 0 accepts all."""
    residuals: Residuals = Residuals()
    """Errors on validation strips, for the intervals."""
    landmark_order: tuple[str, ...] = ()
    training: Mapping[str, Any]
    """Data, seeds and settings of the training."""
    measured: Mapping[str, float]
    """Figures on validation strips."""


def save_weights(folder: Path, state: Mapping[str, Tensor], **record: Any) -> WeightsRecord:
    """Write `<network>.safetensors` and `<network>.json` into `folder`."""
    data = save({name: _compact(name, value) for name, value in state.items()})
    made = WeightsRecord(sha256=hashlib.sha256(data).hexdigest(), **record)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{made.network}.safetensors").write_bytes(data)
    write_record(folder, made)
    return made


def write_record(folder: Path, record: WeightsRecord) -> None:
    """Write `<network>.json` alone, beside unchanged weights."""
    text = json.dumps(record.model_dump(mode="json"), indent=2, sort_keys=True)
    (folder / f"{record.network}.json").write_text(text + "\n")


def _compact(name: str, value: Tensor) -> Tensor:
    keep = not value.is_floating_point() or "running_" in name
    return (value if keep else value.half()).contiguous()


def load_weights(
    folder: Path, network: str, inputs: Mapping[str, float]
) -> tuple[dict[str, Tensor], WeightsRecord]:
    """The weights of `network` in single precision, and their record.

    Raises:
        WeightsMismatch: a file is missing or unreadable, the sha256 differs, or the record was made
            for another input geometry.
    """
    try:
        record = WeightsRecord.model_validate_json((folder / f"{network}.json").read_bytes())
        data = (folder / f"{network}.safetensors").read_bytes()
    except (OSError, ValidationError) as error:
        raise WeightsMismatch(f"no usable {network} weights in {folder}: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != record.sha256:
        raise WeightsMismatch(
            f"{network}.safetensors is {found[:12]}…, its record says {record.sha256[:12]}…"
        )
    if dict(record.input) != dict(inputs):
        raise WeightsMismatch(f"{network} weights were made for {dict(record.input)}, not {dict(inputs)}")
    return {
        name: value.float() if value.dtype == torch.half else value for name, value in load(data).items()
    }, record


def identity(cycles: WeightsRecord, landmarks: WeightsRecord) -> ModelIdentity:
    """Name, version and one sha256 for the pair of networks."""
    both = hashlib.sha256((cycles.sha256 + landmarks.sha256).encode()).hexdigest()
    version = (
        cycles.version if cycles.version == landmarks.version else f"{cycles.version}+{landmarks.version}"
    )
    return ModelIdentity(name=MODEL_NAME, version=version, sha256=both)
