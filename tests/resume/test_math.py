"""A training that tunes a BERT, or looks up neighbours, is killed and goes on, and ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from myna import runs
from myna.config import MathConfig
from myna.engine.checkpoint import load_state
from myna.engine.loop import Trainer
from myna.mathqa.problems import Problem
from myna.mathqa.task import MathTask

N_EPOCHS, STEPS_PER_EPOCH = 2, 3
SIZES = {"glove": "none", "learned_size": 6, "encoder_size": 8, "decoder_size": 12, "token_size": 6, "dropout": 0.2}


class Killed(BaseException):
    """Stands for a kill."""


def make_config(bert: Path, kind: str, **settings: Any) -> MathConfig:
    own = {
        "source": str(bert),
        "frozen_layers": 1,
        "rate_ratio": 0.5,
        "start_ratio": 0.3,
        "warmup_ratio": 0.4,
        "lstm_layers": 1,
    }
    return MathConfig.model_validate(
        {
            "data": {"min_word_count": 1},
            "model": {"type": kind, **SIZES, "bert": own, "neighbours": {"n": 2, "size": 6}},
            "teacher_forcing": {"ratio": 0.5, "schedule": "linear"},
            "training": {"epochs": N_EPOCHS, "batch_size": 3, "average_decay": 0.9, "checkpoint_minutes": 0},
            **settings,
        }
    )


def train(config: MathConfig, problems: list[Problem], folder: Path, at_loss: int = -1) -> None:
    """Train, or go on, and die before a loss, counted from 0."""
    task = MathTask(config, problems, problems[:4])
    plain, n_losses = task.loss, 0

    def loss(
        model: nn.Module, examples: Sequence[int], device: torch.device, progress: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        nonlocal n_losses
        if n_losses == at_loss:
            raise Killed
        n_losses += 1
        return plain(model, examples, device, progress)

    task.loss = loss  # type: ignore[method-assign]
    Trainer(task, config.training, folder, resume=True).train()


def outcome(folder: Path) -> dict[str, Any]:
    """Return what a training leaves: weights, the optimiser's and the average's numbers, metrics without times."""
    state = load_state(folder / "last" / "state.pt")
    return {
        "position": {name: value for name, value in state["position"].items() if name != "seconds"},
        "moments": [t for moments in state["optimizer"]["state"].values() for t in moments.values()],
        "groups": [{k: v for k, v in g.items() if k != "params"} for g in state["optimizer"]["param_groups"]],
        "average": list(state["average"]["average"].values()),
        "last": list(load_file(folder / "last" / "model.safetensors").values()),
        "best": list(load_file(folder / "best" / "model.safetensors").values()),
        "metrics": [{k: v for k, v in line.items() if k != "minutes"} for line in runs.read_metrics(folder)],
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if isinstance(value[0] if isinstance(value, list) else value, Tensor):
            assert len(found[name]) == len(value), name
            assert all(map(torch.equal, found[name], value)), name
        else:
            assert found[name] == value, name


@pytest.fixture
def start(tiny_bert: Path, tmp_path: Path) -> Callable[[str, list[Problem]], str]:
    """Train a model of another kind on its own, and return the folder to start from."""

    def run(kind: str, problems: list[Problem]) -> str:
        train(make_config(tiny_bert, kind), problems, tmp_path / "first")
        runs.write_summary(tmp_path / "first", minutes=0.0)
        return str(tmp_path / "first")

    return run


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("bert_lstm_attn_tuned", ""),
        ("bert_lstm_attn_tuned", "bert_lstm_attn_frozen"),
        ("retrieval_lstm_attn", ""),
    ],
    ids=["tuned", "tuned-from-frozen", "retrieval"],
)
def test_killed_in_every_step_in_turn(
    kind: str,
    first: str,
    tiny_bert: Path,
    eight_problems: list[Problem],
    tmp_path: Path,
    start: Callable[[str, list[Problem]], str],
) -> None:
    # Five more that read like others, so that retrieval may see them as they are.
    problems = eight_problems + eight_problems[:5]
    config = make_config(tiny_bert, kind, start_from=start(first, problems) if first else "")
    train(config, problems, tmp_path / "whole")
    whole = outcome(tmp_path / "whole")
    assert whole["position"]["step"] == N_EPOCHS * STEPS_PER_EPOCH
    for _ in range(N_EPOCHS * STEPS_PER_EPOCH - 1):
        with pytest.raises(Killed):
            train(config, problems, tmp_path / "run", at_loss=1)
    train(config, problems, tmp_path / "run", at_loss=1)
    assert_same(outcome(tmp_path / "run"), whole)


def test_a_tuned_run_begins_with_the_decoder_of_a_frozen_one(
    tiny_bert: Path, eight_problems: list[Problem], tmp_path: Path, start: Callable[[str, list[Problem]], str]
) -> None:
    """With a rate of nearly 0 it ends with it too; else the test above might start from nothing."""
    training = {"epochs": 1, "batch_size": 8, "optimizer": {"learning_rate": 1e-12, "weight_decay": 0.0}}
    first = start("bert_lstm_attn_frozen", eight_problems)
    config = make_config(tiny_bert, "bert_lstm_attn_tuned", start_from=first, training=training)
    train(config, eight_problems, tmp_path / "run")
    frozen = load_file(Path(first) / "best" / "model.safetensors")
    tuned = load_file(tmp_path / "run" / "last" / "model.safetensors")
    assert {name.split(".")[1] for name in tuned.keys() - frozen.keys()} == {"layers"}
    assert frozen.keys() < tuned.keys()
    for name, tensor in frozen.items():
        torch.testing.assert_close(tuned[name], tensor, rtol=0, atol=1e-9, msg=name)


def test_bert_waits_until_it_is_to_begin(tiny_bert: Path, eight_problems: list[Problem], tmp_path: Path) -> None:
    """Of six steps, two come before the share of 0.3."""
    problems = eight_problems + eight_problems[:1]
    before = MathTask(make_config(tiny_bert, "bert_lstm_attn_tuned"), problems, problems[:1]).translator.state_dict()
    moved = {}
    for n_steps in (1, 2, 3, 4):
        with pytest.raises(Killed):
            train(make_config(tiny_bert, "bert_lstm_attn_tuned"), problems, tmp_path / "run", at_loss=1)
        after = load_file(tmp_path / "run" / "last" / "model.safetensors")
        changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
        assert any(name.startswith("decoder.") for name in changed)
        moved[n_steps] = any(name.startswith("encoder.layers.") for name in changed)
    assert moved == {1: False, 2: False, 3: True, 4: True}
