from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from myna.config import OptimizerSection, ScheduleSection, check
from myna.engine.optim import Pace, Schedule, WeightAverage, build_optimizer


def schedule(n_epochs: int = 10, steps_per_epoch: int = 10, **settings: Any) -> Schedule:
    section = check(ScheduleSection, settings, "test")
    return Schedule(section, n_epochs * steps_per_epoch, steps_per_epoch)


# Optimisers


class Mixed(nn.Module):
    """Every kind of parameter that weight decay treats differently."""

    no_weight_decay = ("gate",)

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.lstm = nn.LSTM(4, 3)
        self.filters = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.gate = nn.Parameter(torch.ones(2, 2))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def test_weight_decay_acts_on_matrices_and_filters_only() -> None:
    model = Mixed()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, exempt = build_optimizer(model, OptimizerSection(weight_decay=0.3)).param_groups
    assert decayed["weight_decay"] == 0.3
    assert exempt["weight_decay"] == 0
    assert {names[id(p)] for p in decayed["params"]} == {"lstm.weight_ih_l0", "lstm.weight_hh_l0", "filters.weight"}
    assert {names[id(p)] for p in exempt["params"]} == {
        "embedding.weight",
        "lstm.bias_ih_l0",
        "lstm.bias_hh_l0",
        "filters.bias",
        "norm.weight",
        "norm.bias",
        "gate",
    }


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_name_chooses_the_optimiser(name: str, kind: type[torch.optim.Optimizer]) -> None:
    section = check(OptimizerSection, {"name": name, "learning_rate": 0.25, "momentum": 0.5}, "test")
    optimizer = build_optimizer(nn.Linear(2, 2), section)
    assert type(optimizer) is kind
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    assert name != "sgd" or optimizer.param_groups[0]["momentum"] == 0.5


class Paced(nn.Module):
    """Modules with a pace of their own, one inside another, and one without."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Linear(2, 2)
        self.slow = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), nn.Linear(2, 2).requires_grad_(False))
        self.slow.pace = Pace(0.5, 0.25, 0.75)
        self.slow[1].pace = Pace(0.1)


def test_parameters_are_grouped_by_the_innermost_pace() -> None:
    model = Paced()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    section = OptimizerSection(learning_rate=2.0, weight_decay=0.3)
    found = {
        tuple(names[id(p)] for p in group["params"]): (
            group["lr"],
            group["start_ratio"],
            group["warmup_ratio"],
            group["weight_decay"],
        )
        for group in build_optimizer(model, section).param_groups
        if group["params"]
    }
    assert found == {
        ("plain.weight",): (2.0, 0.0, 0.0, 0.3),
        ("plain.bias",): (2.0, 0.0, 0.0, 0.0),
        ("slow.0.weight",): (1.0, 0.25, 0.75, 0.3),
        ("slow.0.bias",): (1.0, 0.25, 0.75, 0.0),
        ("slow.1.weight",): (0.2, 0.0, 0.0, 0.3),
    }


# Schedules


def test_a_module_with_a_pace_begins_late_and_rises_in_equal_steps() -> None:
    plain = schedule(name="constant")  # 100 steps
    assert [plain.rise(step, 0.1, 0.04) for step in (0, 9, 10, 11, 12, 13, 14, 99)] == pytest.approx(
        [0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1]
    )
    assert {plain.rise(step, 0.0, 0.0) for step in range(100)} == {1.0}
    assert [plain.rise(step, 0.5, 0.0) for step in (0, 49, 50, 99)] == [0, 0, 1, 1]
    assert {plain.rise(step, 1.0, 0.0) for step in range(100)} == {0.0}


def test_constant_stays() -> None:
    assert {schedule(name="constant").ratio(step) for step in range(100)} == {1.0}


def test_step_drops_after_so_many_epochs() -> None:
    ratios = [schedule(name="step", step_epochs=3, factor=0.5).ratio(step) for step in (0, 29, 30, 59, 60, 99)]
    assert ratios == [1, 1, 0.5, 0.5, 0.25, 0.125]


def test_cosine_falls_from_the_peak_to_its_last_ratio() -> None:
    plain = schedule(name="cosine")
    assert [plain.ratio(step) for step in (0, 25, 50, 75, 100)] == pytest.approx(
        [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]
    )
    floor = schedule(name="cosine", final_ratio=0.2)
    assert [floor.ratio(step) for step in (0, 50, 100)] == pytest.approx([1, 0.6, 0.2])


def test_cosine_does_not_rise_again_past_its_end() -> None:
    assert schedule(name="cosine", final_ratio=0.2).ratio(130) == pytest.approx(0.2)


def test_warm_up_rises_in_equal_steps_and_hands_over() -> None:
    warm = schedule(name="cosine", warmup_ratio=0.04)  # 4 of 100 steps
    assert [warm.ratio(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert warm.ratio(52) == pytest.approx(0.5), "half of the 96 steps that are left"
    assert warm.ratio(99) > 0
    constant = schedule(name="constant", warmup_ratio=1.0)
    assert constant.ratio(99) == pytest.approx(100 / 101)


def test_plateau_drops_when_patience_is_over() -> None:
    plateau = schedule(name="plateau", patience=2, factor=0.1)
    ratios = []
    for score in (0.3, 0.3, 0.2, 0.1, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4):
        plateau.observe(score)
        ratios.append(plateau.ratio(50))
    # Three without gain make a drop: 0.3, 0.2, 0.1; the gain to 0.4 counts from the beginning.
    assert ratios == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])


def test_plateau_is_like_torch() -> None:
    scores = torch.rand(60, generator=torch.Generator().manual_seed(0)).tolist()
    ours = schedule(name="plateau", patience=3, factor=0.5)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=3, threshold=0.0, eps=0.0
    )
    for score in scores:
        ours.observe(score)
        reference.step(score)
        assert ours.ratio(0) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_other_schedules_do_not_listen_to_scores() -> None:
    cosine = schedule(name="cosine", patience=0)
    cosine.observe(1.0)
    cosine.observe(0.0)
    assert cosine.ratio(0) == 1


def test_a_plateau_goes_on_where_it_was() -> None:
    scores = [0.1, 0.0, 0.2, 0.1, 0.1, 0.1, 0.0, 0.0]
    whole = schedule(name="plateau", patience=1)
    for score in scores:
        whole.observe(score)
    for cut in range(len(scores)):
        first, second = schedule(name="plateau", patience=1), schedule(name="plateau", patience=1)
        for score in scores[:cut]:
            first.observe(score)
        second.load_state_dict(first.state_dict())
        for score in scores[cut:]:
            second.observe(score)
        assert second.state_dict() == whole.state_dict()


# The average of the weights


def model_with_buffers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_the_average_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average = WeightAverage(model, decay=0.2)
    expected = 1.0
    for n, value in enumerate((2.0, 4.0, 8.0), start=1):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update()
        decay = min(0.2, (1 + n) / (10 + n))  # 2/11, then 0.2 (not 3/12), then 0.2
        expected = decay * expected + (1 - decay) * value
        assert average.average["weight"].item() == pytest.approx(expected)


def test_counts_are_copied_and_running_statistics_averaged() -> None:
    model = model_with_buffers()
    average = WeightAverage(model, decay=0.9)
    model(torch.randn(4, 3))
    average.update()
    assert average.average["1.num_batches_tracked"].item() == 1
    mean, decay = model.get_buffer("1.running_mean"), 2 / 11
    assert torch.allclose(average.average["1.running_mean"], (1 - decay) * mean)


def test_the_average_is_in_place_for_the_block_alone_even_if_it_fails() -> None:
    model = model_with_buffers()
    average = WeightAverage(model, decay=0.5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def look() -> None:
        with average.in_place():
            assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        look()
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(tensor, before[name]) for name, tensor in average.average.items())


def test_a_weight_of_two_names_is_exchanged_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    before = model[0].weight.detach().clone()
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    with average.in_place():
        assert torch.equal(model[1].weight, before)
    assert torch.equal(model[1].weight, before + 1)


def test_the_average_follows_a_model_that_moves_or_loads() -> None:
    model = model_with_buffers()
    average = WeightAverage(model, decay=0.0)
    model.to(torch.float64)  # as `.to(device)` does, gives the parameters other memory
    model.to(torch.float32)
    model.load_state_dict({name: torch.ones_like(tensor) for name, tensor in model.state_dict().items()})
    average.update()
    assert torch.equal(average.average["0.weight"], torch.ones(2, 3))


def test_a_frozen_part_keeps_its_values() -> None:
    model = model_with_buffers()
    average = WeightAverage(model, decay=0.7)
    for _ in range(20):
        average.update()
    assert torch.equal(average.average["0.weight"], model.get_parameter("0.weight"))
