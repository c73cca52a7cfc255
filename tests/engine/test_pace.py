"""Parts of a model that learn at their own pace, weights taken from another run, and what a task is told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from myna.config import OptimizerSection, ScheduleSection, TeacherForcingSection, TrainingSection, check
from myna.engine import loop
from myna.engine.checkpoint import load_matching_weights, save_weights
from myna.engine.loop import Trainer
from myna.engine.optim import Pace, Schedule, build_optimizer
from myna.errors import UserError
from myna.mathqa.task import forcing_ratio
from myna.runs import read_metrics

SLOW, LATE = Pace(0.5), Pace(0.1, 0.25, 0.5)


def paced(module: nn.Module, pace: Pace) -> nn.Module:
    module.pace = pace
    return module


def nested() -> nn.ModuleDict:
    """A model whose middle is slow, and whose middle's upper part is late."""
    middle = nn.ModuleDict({"lower": nn.Linear(2, 2), "upper": paced(nn.Linear(2, 2), LATE)})
    frozen = nn.Linear(2, 2).requires_grad_(False)
    return nn.ModuleDict({"first": nn.Linear(2, 2), "middle": paced(middle, SLOW), "frozen": paced(frozen, LATE)})


def named_groups(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [{**group, "params": [names[id(p)] for p in group["params"]]} for group in optimizer.param_groups]


# Groups of the optimiser


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_the_innermost_pace_counts_and_what_is_frozen_is_left_out(name: str) -> None:
    model = nested()
    section = check(OptimizerSection, {"name": name, "learning_rate": 0.5, "weight_decay": 0.25}, "test")
    keys = ("params", "lr", "weight_decay", "start_ratio", "warmup_ratio")
    assert [{key: group[key] for key in keys} for group in named_groups(model, build_optimizer(model, section))] == [
        dict(zip(keys, values, strict=True))
        for values in (
            (["first.weight"], 0.5, 0.25, 0.0, 0.0),
            (["first.bias"], 0.5, 0.0, 0.0, 0.0),
            (["middle.lower.weight"], 0.25, 0.25, 0.0, 0.0),
            (["middle.lower.bias"], 0.25, 0.0, 0.0, 0.0),
            (["middle.upper.weight"], 0.05, 0.25, 0.25, 0.5),
            (["middle.upper.bias"], 0.05, 0.0, 0.25, 0.5),
        )
    ]


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


# The rise


def test_rise_by_hand() -> None:
    schedule = Schedule(ScheduleSection(), n_steps=20, steps_per_epoch=5)
    # A quarter of 20 steps waits, a fifth rises.
    rises = [schedule.rise(step, 0.25, 0.2) for step in range(20)]
    assert rises == pytest.approx([0] * 5 + [0.2, 0.4, 0.6, 0.8] + [1] * 11)


@pytest.mark.parametrize(("start_ratio", "warmup_ratio"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.7), (1.0, 0.0)])
def test_rise_is_nothing_before_its_start_and_never_falls(start_ratio: float, warmup_ratio: float) -> None:
    schedule = Schedule(ScheduleSection(), n_steps=10, steps_per_epoch=5)
    rises = [schedule.rise(step, start_ratio, warmup_ratio) for step in range(12)]
    begin = round(10 * start_ratio)
    assert rises[:begin] == [0] * begin
    assert all(0 < rise <= 1 for rise in rises[begin:])
    assert rises == sorted(rises)
    assert rises[-1] == 1
    if not warmup_ratio:
        assert set(rises[begin:]) == {1.0}


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


# Precision


def test_bf16_that_is_emulated_is_left_out_and_said(
    tmp_path: Path, tiny_task: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loop, "_emulates_bf16", lambda: True)
    said = {}
    for precision in ("no", "bf16"):
        train(tiny_task(), tmp_path / precision, epochs=2, precision=precision)
        said[precision] = "training.precision: this processor has no bf16; training in single precision" in (
            capsys.readouterr().err
        )
    assert said == {"no": False, "bf16": True}
    plain, half = (load_file(tmp_path / name / "last" / "model.safetensors") for name in ("no", "bf16"))
    assert plain.keys() == half.keys()
    assert all(torch.equal(tensor, half[name]) for name, tensor in plain.items())


@pytest.mark.parametrize(
    ("machine", "capability", "accelerated", "emulates"),
    [
        ("x86_64", "AVX2", False, True),
        ("AMD64", "DEFAULT", False, True),
        ("x86_64", "AVX512", False, False),
        ("x86_64", "AVX2", True, False),
        ("arm64", "DEFAULT", False, False),
    ],
)
def test_where_bf16_is_emulated(
    monkeypatch: pytest.MonkeyPatch, machine: str, capability: str, accelerated: bool, emulates: bool
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerated)
    monkeypatch.setattr(loop.platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert loop._emulates_bf16() is emulates


# Weights of another run


def layers(*sizes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))


def test_what_fits_is_taken_and_named(tmp_path: Path) -> None:
    source, model = layers(3, 4, 5, 2, seed=1), layers(3, 4, 6, 2, seed=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_weights(tmp_path / "w.safetensors", source.state_dict())
    taken = load_matching_weights(model, tmp_path / "w.safetensors")
    # Of the last two layers only the last's bias has the same shape.
    assert taken == ["0.bias", "0.weight", "2.bias"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name] if name in taken else before[name]), name


def test_names_that_only_one_side_has_do_no_harm(tmp_path: Path) -> None:
    source, model = layers(3, 4, seed=1), layers(3, 4, 2, seed=2)
    save_weights(tmp_path / "w.safetensors", {**source.state_dict(), "other": torch.ones(2)})
    assert load_matching_weights(model, tmp_path / "w.safetensors") == ["0.bias", "0.weight"]
    assert torch.equal(model.get_parameter("0.weight"), source.get_parameter("0.weight"))


def test_where_nothing_fits_it_is_refused_in_one_line(tmp_path: Path) -> None:
    path, model = tmp_path / "w.safetensors", layers(3, 4, seed=2)
    before = model.get_parameter("0.weight").detach().clone()
    for tensors in ({"0.weight": torch.ones(4, 5)}, {"other.weight": torch.ones(4, 3)}):
        save_weights(path, tensors)
        with pytest.raises(UserError) as caught:
            load_matching_weights(model, path)
        assert str(caught.value).startswith(f"{path}: none of its weights fits this model")
        assert "\n" not in str(caught.value)
    assert torch.equal(model.get_parameter("0.weight"), before)
    with pytest.raises(UserError, match=r"none\.safetensors: no such file"):
        load_matching_weights(model, tmp_path / "none.safetensors")


# Teacher forcing in the course of training


def test_constant_forcing_stays() -> None:
    constant = TeacherForcingSection(ratio=0.25)
    assert {forcing_ratio(constant, step / 10) for step in range(11)} == {0.25}


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("schedule", ["linear", "inverse_sigmoid"])
def test_scheduled_forcing_comes_down_from_1(schedule: Any, ratio: float) -> None:
    settings = TeacherForcingSection(ratio=ratio, schedule=schedule)
    ratios = [forcing_ratio(settings, step / 10) for step in range(11)]
    assert ratios[0] == 1
    assert ratios[5] == pytest.approx((1 + ratio) / 2)
    assert ratios[10] == pytest.approx(ratio)
    falls = [before - after for before, after in pairwise(ratios)]
    if ratio == 1:
        assert falls == [0] * 10
    else:
        assert min(falls) > 0
        # Both halves mirror each other; a straight line falls alike everywhere, a sigmoid most in the middle.
        assert falls == pytest.approx(falls[::-1])
        assert (falls[0] == pytest.approx(falls[4])) is (schedule == "linear")


def test_inverse_sigmoid_by_hand() -> None:
    """1 / (1 + exp(10 (x - 0.5))) is 0.99331 at 0, 0.92414 at a quarter and 0.00669 at 1."""
    settings = TeacherForcingSection(ratio=0.0, schedule="inverse_sigmoid")
    assert forcing_ratio(settings, 0.25) == pytest.approx((0.92414 - 0.00669) / (0.99331 - 0.00669), abs=1e-4)
