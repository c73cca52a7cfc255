"""Optimisers, learning-rate schedules, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from myna.config import OptimizerSection, ScheduleSection


class Pace(NamedTuple):
    """How a module learns beside the rest of a model; taken from its attribute `pace`, which its children may override.

    Attributes:
        ratio: of its learning rate to the model's.
        start_ratio: share of all steps before it begins to learn.
        warmup_ratio: share of all steps over which its rate then rises from 0.
    """

    ratio: float = 1.0
    start_ratio: float = 0.0
    warmup_ratio: float = 0.0


def build_optimizer(model: nn.Module, section: OptimizerSection) -> torch.optim.Optimizer:
    """Make the optimiser; weight decay acts on matrices and filters only.

    Biases, norms, embeddings, and what a module names in its `no_weight_decay` are exempt. Parameters are grouped by
    that and by the pace of their modules.
    """
    groups = [
        {
            "params": parameters,
            "weight_decay": decay,
            "lr": section.learning_rate * pace.ratio,
            "start_ratio": pace.start_ratio,
            "warmup_ratio": pace.warmup_ratio,
        }
        for pace, members in _by_pace(model).items()
        for parameters, decay in zip(_split_parameters(model, members), (section.weight_decay, 0.0), strict=True)
    ]
    if section.name == "sgd":
        return torch.optim.SGD(groups, lr=section.learning_rate, momentum=section.momentum)
    if section.name == "adam":
        return torch.optim.Adam(groups, lr=section.learning_rate)
    return torch.optim.AdamW(groups, lr=section.learning_rate)


def _by_pace(model: nn.Module) -> dict[Pace, list[nn.Parameter]]:
    """Return the trained parameters by the pace of the innermost module that has one."""
    paces = dict.fromkeys(model.parameters(), Pace())
    for module in model.modules():
        if isinstance(pace := getattr(module, "pace", None), Pace):
            paces |= dict.fromkeys(module.parameters(), pace)
    grouped: dict[Pace, list[nn.Parameter]] = {}
    for parameter, pace in paces.items():
        if parameter.requires_grad:
            grouped.setdefault(pace, []).append(parameter)
    return grouped


def _split_parameters(model: nn.Module, members: list[nn.Parameter]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters that weight decay acts on, and the others."""
    exempt_ids = set()
    for module in model.modules():
        names: tuple[str, ...] = getattr(module, "no_weight_decay", ())
        if isinstance(module, nn.Embedding):
            names = ("weight",)
        exempt_ids |= {id(getattr(module, name)) for name in names}
    decayed = [p for p in members if p.ndim >= 2 and id(p) not in exempt_ids]
    decayed_ids = {id(p) for p in decayed}
    return decayed, [p for p in members if id(p) not in decayed_ids]


class Schedule:
    """The learning rate as a share of its peak, for each step.

    Args:
        section: shape and numbers.
        n_steps: steps of the whole training.
        steps_per_epoch: steps of one epoch.
    """

    def __init__(self, section: ScheduleSection, n_steps: int, steps_per_epoch: int) -> None:
        self.section = section
        self.n_steps = n_steps
        self.steps_per_epoch = steps_per_epoch
        self.n_warmup = round(section.warmup_ratio * n_steps)
        self._best: float | None = None
        self._n_bad = 0
        self._n_drops = 0

    def ratio(self, step: int) -> float:
        """Return the share of the peak at a step, counted from 0."""
        section = self.section
        if step < self.n_warmup:
            return (step + 1) / (self.n_warmup + 1)
        if section.name == "cosine":
            # An epoch may have a batch more than the first had, and what has come down stays down.
            progress = min(1.0, (step - self.n_warmup) / max(1, self.n_steps - self.n_warmup))
            return section.final_ratio + (1 - section.final_ratio) * (1 + math.cos(math.pi * progress)) / 2
        if section.name == "step":
            return float(section.factor ** (step // self.steps_per_epoch // section.step_epochs))
        return float(section.factor**self._n_drops)

    def rise(self, step: int, start_ratio: float, warmup_ratio: float) -> float:
        """Return the factor of a module that begins to learn later than the rest: from 0 up to 1."""
        begin = round(start_ratio * self.n_steps)
        if step < begin:
            return 0.0
        return min(1.0, (step - begin + 1) / (round(warmup_ratio * self.n_steps) + 1))

    def observe(self, score: float) -> None:
        """Tell the plateau schedule an evaluation's score; higher is better."""
        if self.section.name != "plateau":
            return
        if self._best is None or score > self._best:
            self._best, self._n_bad = score, 0
            return
        self._n_bad += 1
        if self._n_bad > self.section.patience:
            self._n_drops, self._n_bad = self._n_drops + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"best": self._best, "n_bad": self._n_bad, "n_drops": self._n_drops}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        self._best, self._n_bad, self._n_drops = state["best"], state["n_bad"], state["n_drops"]


class WeightAverage:
    """An exponential moving average of a model's weights and buffers.

    Source: Polyak and Juditsky 1992, in the exponential form; early on the decay is (1 + t) / (10 + t), so that
    the start is forgotten soon.

    Args:
        model: whose weights are averaged; on the device where it is trained, since its tensors are kept hold of.
        decay: share of the old average kept at each step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        # The parameters themselves: what `state_dict()` returns else are aliases, which can go stale.
        named: dict[str, Tensor] = model.state_dict(keep_vars=True)
        # A tensor that has several names is averaged, and exchanged, once.
        first = {id(tensor): name for name, tensor in reversed(named.items())}
        self._weights = {name: tensor for name, tensor in named.items() if first[id(tensor)] == name}
        self.average = {name: tensor.detach().clone() for name, tensor in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the model's weights; counts, such as a norm's of its batches, are copied."""
        self.n_updates += 1
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        floating = [name for name, weight in self._weights.items() if weight.is_floating_point()]
        averages, weights = [self.average[name] for name in floating], [self._weights[name] for name in floating]
        torch._foreach_lerp_(averages, weights, 1 - decay)
        for name in self._weights.keys() - floating:
            self.average[name].copy_(self._weights[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the average for the length of the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"n_updates": self.n_updates, "average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        self.n_updates = state["n_updates"]
        for name, tensor in self.average.items():
            tensor.copy_(state["average"][name])

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchange the model's weights and the average."""
        for name, weight in self._weights.items():
            current = weight.clone()
            weight.copy_(self.average[name])
            self.average[name].copy_(current)
