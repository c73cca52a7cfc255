"""Where to compute, outside of training (which accelerate places)."""

from __future__ import annotations

import torch


def find_device() -> torch.device:
    """Return this machine's accelerator, or the CPU where there is none."""
    if torch.accelerator.is_available():
        return torch.accelerator.current_accelerator() or torch.device("cpu")
    return torch.device("cpu")
