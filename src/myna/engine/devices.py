"""Where to compute, outside of training (which accelerate places), and in what precision it is worth while."""

from __future__ import annotations

import os
import platform

import torch


def find_device() -> torch.device:
    """Return this machine's accelerator, that of this process where torchrun started several; else the CPU."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is None:
        return torch.device("cpu")
    return torch.device(device.type, int(os.environ["LOCAL_RANK"])) if "LOCAL_RANK" in os.environ else device


def emulates_bf16() -> bool:
    """Return whether bf16 would be computed by a processor or GPU that can store it but not multiply in it."""
    if torch.cuda.is_available():
        return not torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.accelerator.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return False
    return "AVX512" not in torch.backends.cpu.get_cpu_capability()
