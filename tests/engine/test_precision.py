"""Half precision scales gradients up; here the scaler is real, and the processor stands in for the accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor

from myna.config import TrainingSection, check
from myna.engine import loop
from myna.engine.checkpoint import load_state
from myna.engine.loop import Trainer, start_accelerator


def section(**settings: Any) -> TrainingSection:
    return check(TrainingSection, {"epochs": 2, "checkpoint_minutes": 60, "precision": "fp16"} | settings, "test")


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Settings of the scaler that every training gets."""
    settings = {"init_scale": 2.0**16}

    def start(precision: str) -> Any:
        accelerator = start_accelerator(precision)
        accelerator.scaler = torch.amp.GradScaler("cpu", **settings)
        accelerator.native_amp = True  # what makes Accelerate undo the scaling before it clips
        AcceleratorState()._mixed_precision = "fp16"
        return accelerator

    monkeypatch.setattr(loop, "start_accelerator", start)
    # The model itself stays in single precision, so that scaling is all that differs.
    monkeypatch.setattr("accelerate.accelerator.get_mixed_precision_context_manager", lambda *_: torch.enable_grad())
    return settings


def weights_of(task: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in task.model.state_dict().items()}


@pytest.mark.parametrize("clip_norm", [0.0, 0.05])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_scaling_leaves_the_training_as_it_was(
    tmp_path: Path, tiny_task: Any, scaling: dict[str, float], clip_norm: float, accumulate: int
) -> None:
    """Powers of two scale without rounding: clipping has to see the gradient, not the scaled one."""
    found = []
    for scale in (1.0, 2.0**16):
        scaling["init_scale"] = scale
        task = tiny_task()
        settings = section(accumulate=accumulate, optimizer={"clip_norm": clip_norm})
        Trainer(task, settings, tmp_path / str(scale)).train()
        found.append(weights_of(task))
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name]), name


def test_a_step_that_overflows_is_left_out_and_the_scale_halved(
    tmp_path: Path, tiny_task: Any, scaling: dict[str, float]
) -> None:
    scaling["init_scale"] = 2.0**127
    task = tiny_task()
    before = weights_of(task)["0.weight"]
    trainer = Trainer(task, section(epochs=1), tmp_path)
    trainer.train()
    assert torch.equal(weights_of(task)["0.weight"], before)
    assert trainer.accelerator.scaler.get_scale() == 2.0**124, "three steps, each of them left out"
    assert load_state(tmp_path / "last" / "state.pt")["position"]["step"] == 3


def test_the_scale_is_resumed(tmp_path: Path, tiny_task: Any, scaling: dict[str, float]) -> None:
    """Else the first steps after it overflow again, and are left out where they were not."""
    scaling["init_scale"] = 2.0**127
    Trainer(tiny_task(), section(epochs=1), tmp_path).train()
    resumed = Trainer(tiny_task(), section(epochs=1), tmp_path, resume=True)
    assert resumed.accelerator.scaler.get_scale() == 2.0**124
