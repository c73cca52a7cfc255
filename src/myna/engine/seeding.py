"""Random states: set all of them, and carry them in a checkpoint."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators, on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that we call draw from the global generator
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """Return the state of every generator, in types that torch.load(weights_only=True) reads.

    Of the accelerators, the state of the one that this process uses.
    """
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    version, internal, gauss = random.getstate()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "device": _device_module().get_rng_state() if torch.accelerator.is_available() else None,
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Set every generator to what `random_states` returned."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if states.get("device") is not None and torch.accelerator.is_available():
        _device_module().set_rng_state(states["device"].cpu())


def _device_module() -> ModuleType:
    """Return the module of this process's accelerator: torch.cuda, torch.mps, ..."""
    module: ModuleType = torch.get_device_module(torch.accelerator.current_accelerator())
    return module
