"""Parts of a model that learn at their own pace, from the optimiser's groups to the steps that the loop takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from myna.config import OptimizerSection, TrainingSection, check
from myna.engine.loop import Trainer
from myna.engine.optim import Pace, build_optimizer
from myna.runs import read_metrics


def paced(module: nn.Module, pace: Pace) -> nn.Module:
    module.pace = pace
    return module


def named_groups(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [{**group, "params": [names[id(p)] for p in group["params"]]} for group in optimizer.param_groups]


# Groups of the optimiser


def test_modules_of_equal_pace_share_their_groups() -> None:
    model = nn.ModuleList([paced(nn.Linear(2, 2), Pace(0.5)), nn.Linear(2, 2), paced(nn.Linear(2, 2), Pace(0.5))])
    groups = named_groups(model, build_optimizer(model, OptimizerSection(learning_rate=0.5)))
    assert [(group["params"], group["lr"]) for group in groups] == [
        (["0.weight", "2.weight"], 0.25),
        (["0.bias", "2.bias"], 0.25),
        (["1.weight"], 0.5),
        (["1.bias"], 0.5),
    ]


def test_a_model_without_a_pace_has_two_groups(tiny_task: Any) -> None:
    groups = build_optimizer(tiny_task().model, OptimizerSection(learning_rate=0.5)).param_groups
    assert [(group["lr"], group["start_ratio"], group["warmup_ratio"]) for group in groups] == [(0.5, 0, 0)] * 2


def test_another_attribute_of_that_name_is_no_pace() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model.pace = 0.5
    assert [group["lr"] for group in build_optimizer(model, OptimizerSection(learning_rate=0.25)).param_groups] == [
        0.25,
        0.25,
    ]


# The loop


class PacedTask:
    """Two layers of which the second has a pace; remembers its weights and the progress at each loss."""

    score_name = "score"

    def __init__(self, pace: Pace | None = None) -> None:
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 1)
        if pace is not None:
            paced(self.second, pace)
        self.model: nn.Module = nn.Sequential(self.first, nn.Tanh(), self.second)
        self.inputs = torch.randn(8, 3)
        self.progress: list[float] = []
        self.weights: list[tuple[Tensor, Tensor]] = []

    def batches(self, epoch: int) -> list[list[int]]:
        return [[0, 1, 2, 3], [4, 5, 6, 7]]

    def loss(
        self, model: nn.Module, examples: Sequence[int], device: torch.device, progress: float
    ) -> tuple[Tensor, Tensor]:
        self.progress.append(progress)
        self.weights.append((self.first.weight.detach().clone(), self.second.weight.detach().clone()))
        inputs = self.inputs[examples].to(device)
        return (model(inputs) - inputs[:, :1]).square().sum(), torch.tensor(float(len(examples)))

    def evaluate(self, device: torch.device) -> dict[str, float]:
        return {"score": 0.0}

    def save(self, folder: Path) -> None:
        pass


def section(**settings: Any) -> TrainingSection:
    return check(TrainingSection, {"epochs": 4, "checkpoint_minutes": 60} | settings, "test")


def train(task: Any, folder: Path, **settings: Any) -> Trainer:
    trainer = Trainer(task, section(**settings), folder)
    trainer.train()
    return trainer


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_part_with_a_start_waits_for_it_while_the_rest_learns(tmp_path: Path, name: str) -> None:
    task = PacedTask(Pace(start_ratio=0.5))
    # Of the eight steps' rates, none is 0 but those of what waits.
    train(task, tmp_path / "run", optimizer={"name": name}, schedule={"name": "constant"})
    changes = [
        [not torch.equal(before[part], after[part]) for part in range(2)] for before, after in pairwise(task.weights)
    ]
    assert changes == [[True, False]] * 4 + [[True, True]] * 3


def test_rates_are_products_of_pace_rise_and_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = PacedTask(Pace(0.5, 0.25, 0.25))
    trainer = Trainer(task, section(optimizer={"learning_rate": 0.5}, schedule={"warmup_ratio": 0.5}), tmp_path / "run")
    rates = []
    step = trainer.optimizer.step
    monkeypatch.setattr(
        trainer.optimizer,
        "step",
        lambda: (rates.append([group["lr"] for group in trainer.optimizer.param_groups]), step()),
    )
    trainer.train()
    rise = [0, 0, 1 / 3, 2 / 3, 1, 1, 1, 1]
    whole = [0.5 * trainer.schedule.ratio(step) for step in range(8)]
    assert whole[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rates == [pytest.approx([w, w, 0.5 * r * w, 0.5 * r * w]) for w, r in zip(whole, rise, strict=True)]
    assert [line["learning_rate"] for line in read_metrics(tmp_path / "run") if line["split"] == "train"] == (
        pytest.approx(whole[1::2])
    )


def test_a_pace_that_comes_to_nothing_changes_no_bit(tmp_path: Path) -> None:
    """A hundredth of eight steps is none; yet the part has groups of its own."""
    with_pace, without = PacedTask(Pace(1.0, 0.01, 0.01)), PacedTask()
    assert len(build_optimizer(with_pace.model, OptimizerSection()).param_groups) == 4
    for task, name in ((with_pace, "a"), (without, "b")):
        train(task, tmp_path / name)
    for ours, theirs in zip(with_pace.weights, without.weights, strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_progress_goes_from_0_towards_1(tmp_path: Path, accumulate: int) -> None:
    task = PacedTask()
    train(task, tmp_path / "run", accumulate=accumulate)
    assert task.progress == [step / 8 for step in range(8) for _ in range(accumulate)]
