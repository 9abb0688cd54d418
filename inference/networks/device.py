"""Choice of the processor, of the precision and of the number of threads."""

import logging
import os
from contextlib import AbstractContextManager, nullcontext

import torch

log = logging.getLogger(__name__)


def pick_device(requested: str = "auto") -> torch.device:
    """The device named `auto`, `cpu`, `cuda` or `cuda:N`; the CPU with a warning if CUDA does not work."""
    if requested == "cpu" or (requested == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    device = torch.device("cuda" if requested == "auto" else requested)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        log.warning("device %s does not work (%s): falling back to the CPU", requested, error)
        return torch.device("cpu")
    return device


def half_precision(device: torch.device) -> AbstractContextManager[object]:
    """Context for inference: mixed precision on CUDA, float32 on the CPU."""
    return torch.autocast("cuda") if device.type == "cuda" else nullcontext()


def training_precision(device: torch.device) -> AbstractContextManager[object]:
    """Context for training: bfloat16 if the device supports it, else float32."""
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def use_all_cores() -> None:
    """Set torch to one thread per core that this process may use."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
