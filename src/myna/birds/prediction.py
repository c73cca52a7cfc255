"""Naming birds: photo files in, logits out, without a cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from myna.birds.photos import read_photo, resize_shorter
from myna.birds.task import BirdModel, stored_side
from myna.engine.tracking import progress

_AT_A_TIME = 128


def predict(model: BirdModel, paths: Sequence[Path]) -> Tensor:
    """Return the logits of photo files, (N, n_classes), from the same pixels that a cache would hold.

    Raises:
        BrokenPhotoError: a file cannot be read as a photo.
    """
    side = stored_side(model.config.data)
    parts = []
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,  # Pillow decodes without holding the interpreter
        progress(f"naming {len(paths):,} photos", len(paths)) as tick,
    ):
        for start in range(0, len(paths), _AT_A_TIME):
            group = paths[start : start + _AT_A_TIME]
            pixels = list(pool.map(lambda path: np.asarray(resize_shorter(read_photo(path), side)), group))
            parts.append(model.logits(pixels))
            tick(len(group))
    return torch.cat(parts) if parts else torch.empty(0, len(model.labels.classes))
