"""Where to compute, outside of training (which accelerate places), and in what precision it is worth while."""

from __future__ import annotations

import platform

import torch


def find_device() -> torch.device:
    """Return this machine's accelerator, or the CPU where there is none."""
    if torch.accelerator.is_available():
        return torch.accelerator.current_accelerator() or torch.device("cpu")
    return torch.device("cpu")


def emulates_bf16() -> bool:
    """Return whether bf16 would be computed on a CPU that can store it but not multiply in it."""
    if torch.accelerator.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return False
    return "AVX512" not in torch.backends.cpu.get_cpu_capability()
