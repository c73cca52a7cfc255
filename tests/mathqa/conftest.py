"""What several tests of math models do with one: let it learn, and lay out the problems that it looks up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from myna.config import OptimizerSection
from myna.engine.optim import build_optimizer
from myna.mathqa.problems import Problem, as_items
from myna.mathqa.task import MathTask


@pytest.fixture(scope="session")
def learn() -> Callable[[MathTask, int], None]:
    """Takes a number of optimiser steps as the engine's loop does, on all training examples at once."""

    def take_steps(task: MathTask, n_steps: int) -> None:
        optimizer = build_optimizer(task.model, OptimizerSection(learning_rate=0.02, weight_decay=0.0))
        torch.manual_seed(0)
        task.model.train()
        for step in range(n_steps):
            loss, weight = task.loss(task.model, range(len(task.examples)), torch.device("cpu"), step / n_steps)
            (loss / weight).backward()
            clip_grad_norm_(task.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        task.model.eval()

    return take_steps


@pytest.fixture(scope="session")
def write_training() -> Callable[[Path, list[Problem]], Path]:
    """Writes a data folder with a training file, and returns it."""

    def write(folder: Path, problems: list[Problem]) -> Path:
        path = folder / "mathqa" / "train.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(as_items(problems, [""] * len(problems))), encoding="utf-8")
        return folder

    return write
