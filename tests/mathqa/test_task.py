"""Each kind of model learns eight problems by heart, and a model folder gives back what was saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from myna.config import MathConfig, OptimizerSection
from myna.engine.checkpoint import WEIGHTS, save_weights
from myna.engine.optim import build_optimizer
from myna.errors import UserError
from myna.mathqa.prediction import predict
from myna.mathqa.problems import PAD, UNKNOWN, Problem, collate, encode
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import VOCABULARIES, MathModel, MathTask, build_translator
from myna.mathqa.translator import sequence_loss
from myna.runs import CONFIG

CPU = torch.device("cpu")
SMALL = {"glove": "none", "learned_size": 16, "encoder_size": 24, "decoder_size": 48, "token_size": 16, "dropout": 0.0}
ATTENTIVE = [
    {"type": "lstm_lstm_attn", "attention": attention, "input_feeding": input_feeding}
    for attention in ("luong", "bahdanau")
    for input_feeding in (False, True)
]


def make_config(model: dict[str, Any] | None = None, **sections: Any) -> MathConfig:
    values = {"data": {"min_word_count": 1}, "label_smoothing": 0.0, **sections}
    return MathConfig.model_validate({**values, "model": {**SMALL, **(model or {})}})


def make_problems(n: int = 8) -> list[Problem]:
    """Return problems of the generated sample, no two with the same program where there are enough programs."""
    by_formula = {problem.formula: problem for problem in reversed(generate_splits().train)}
    return [*by_formula.values(), *generate_splits().train][:n]


def learn(task: MathTask, n_steps: int, learning_rate: float = 0.01) -> None:
    """Take optimiser steps as the engine's loop does, on all training examples at once."""
    section = OptimizerSection(learning_rate=learning_rate, weight_decay=0.0)
    optimizer = build_optimizer(task.model, section)
    torch.manual_seed(0)
    task.model.train()
    for _ in range(n_steps):
        loss, weight = task.loss(task.model, range(len(task.examples)), CPU)
        (loss / weight).backward()
        clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    task.model.eval()


@pytest.mark.parametrize("form", ["parallel", "stepwise"])
@pytest.mark.parametrize(
    "model", [{"type": "lstm_lstm"}, *ATTENTIVE], ids=lambda model: "-".join(map(str, model.values()))
)
def test_learns_eight_problems_by_heart(model: dict[str, Any], form: str) -> None:
    problems = make_problems()
    assert len({problem.formula for problem in problems}) == 8
    task = MathTask(make_config(model, teacher_forcing={"ratio": 0.6, "form": form}), problems, problems)
    before = task.evaluate(CPU)
    assert before["exact_match"] == 0
    learn(task, n_steps=80)
    after = task.evaluate(CPU)
    assert after["exact_match"] == after["token_match"] == after["execution_accuracy"] == 1
    assert 0 <= after["loss"] < 0.1 < before["loss"]
