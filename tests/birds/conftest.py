"""Splits and configs of tiny photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from myna.birds.splits import BirdSplits, load_splits
from myna.config import BirdsConfig, check


@pytest.fixture
def bird_splits(bird_folder: Path) -> BirdSplits:
    return load_splits(bird_folder)


@pytest.fixture
def make_bird_config() -> Callable[..., BirdsConfig]:
    """Return configs of a net of eight layers on photos of 16 pixels."""

    def make(model: dict[str, Any] | None = None, data: dict[str, Any] | None = None, **training: Any) -> BirdsConfig:
        values = {
            "data": {"size": 16, **(data or {})},
            "model": {"n": 1, **(model or {})},
            "training": {"epochs": 2, "batch_size": 4, "optimizer": {"learning_rate": 0.01}, **training},
        }
        return check(BirdsConfig, values, "test")

    return make
