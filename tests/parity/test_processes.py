"""Two processes under torchrun train both halves as one process does with the same batches; as a script, one of them.

Nothing is dropped out and no token of the model's own is fed, since the processes draw from streams of their own. What
is left is the order of sums: weights agree to a few units of the last place of single precision.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from myna import runs
from myna.birds.splits import load_splits
from myna.birds.task import BirdTask
from myna.config import BirdsConfig, MathConfig, check
from myna.engine.checkpoint import load_state, load_weights
from myna.engine.loop import Interrupted, Trainer
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathTask

TRAINING = {
    "epochs": 1,
    "batch_size": 5,
    "accumulate": 2,
    "optimizer": {"name": "sgd", "learning_rate": 0.1, "clip_norm": 0.5},
}
SMALL = {"encoder_size": 8, "decoder_size": 16, "token_size": 8, "learned_size": 8, "glove": "none", "dropout": 0.0}
BIRDS: dict[str, dict[str, Any]] = {
    "gn": {"norm": "gn", "shortcut": "projection"},
    "bn": {"norm": "bn", "sync_norm": True},
    "bin": {"norm": "bin", "sync_norm": True},
}
APART = "bn-apart"
"""Batch norm over each process's own photos: no other training comes to the same."""
MATH: dict[str, dict[str, Any]] = {
    "lstm_lstm": {},
    "lstm_lstm_attn": {},
    "retrieval_lstm_attn": {"neighbours": {"n": 2, "size": 8, "exact_ratio": 1.0}},
    "bert_lstm_attn_frozen": {"bert": {"lstm_layers": 1}},
    "bert_lstm_attn_tuned": {"bert": {"frozen_layers": 1, "rate_ratio": 0.5}},
}


def build(name: str, data: Path, bert: Path) -> BirdTask | MathTask:
    """Return a small task of one of the models."""
    if name in (*BIRDS, APART):
        # 21 photos: shares of two and of three, and a last batch of one, which is left out.
        settings = {"data": {"size": 16}, "model": {"n": 1, **BIRDS.get(name, {"norm": "bn"})}, "training": TRAINING}
        return BirdTask(check(BirdsConfig, settings, name), load_splits(data))
    own = MATH[name]
    if "bert" in own:
        own = {**own, "bert": {**own["bert"], "source": str(bert)}}
    settings = {"model": {"type": name, **SMALL, **own}, "teacher_forcing": {"ratio": 1.0}, "training": TRAINING}
    problems = generate_splits()
    # 16 distinct problems, whose smallest batch is of one: both processes compute it.
    return MathTask(check(MathConfig, settings, name), problems.train[:23], problems.dev[:9])


def train(name: str, folder: Path, data: Path, bert: Path) -> None:
    task = build(name, data, bert)
    for module in task.model.modules():
        if isinstance(module, nn.Dropout):  # BERT's own
            module.p = 0.0
    Trainer(task, task.config.training, folder / name).train()


def train_drawing(folder: Path, stop_at: int = 0) -> bool:
    """Train with all that draws random numbers; return whether a signal to the last process stopped it."""
    settings = {
        "model": {"type": "lstm_lstm_attn", **SMALL, "dropout": 0.3},
        "data": {"word_dropout": 0.1},
        "training": {
            **TRAINING,
            "epochs": 2,
            "optimizer": {"name": "adamw"},
            "average_decay": 0.5,
            "checkpoint_minutes": 1000.0,
        },
    }
    problems = generate_splits()
    task = MathTask(check(MathConfig, settings, "drawing"), problems.train[:23], problems.dev[:9])
    trainer = Trainer(task, task.config.training, folder, resume=True)
    loss, calls = task.loss, []

    def count(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == stop_at and trainer.accelerator.process_index == trainer.accelerator.num_processes - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(*arguments)

    task.loss = count  # type: ignore[method-assign]
    with suppress(Interrupted):
        trainer.train()
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without it")
def test_two_processes_come_to_what_one_comes_to(tmp_path: Path, bird_folder: Path, tiny_bert: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for name in (*BIRDS, *MATH):
        train(name, one, bird_folder, tiny_bert)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    local = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    environment = os.environ | local | {"OMP_NUM_THREADS": "1", "MYNA_RUNS": str(tmp_path / "two-runs")}
    subprocess.run([*launch, __file__, str(two), str(bird_folder), str(tiny_bert)], env=environment, check=True)
    for name in (*BIRDS, *MATH):
        assert len(load_state(two / name / "last" / "state.pt")["random"]) == 2, "each process trained by itself"
        lines, expected = runs.read_metrics(two / name), runs.read_metrics(one / name)
        assert [line["split"] for line in lines] == ["train", "val"]
        for line, like in zip(lines, expected, strict=True):
            for key in like.keys() - {"minutes"}:
                assert line[key] == pytest.approx(like[key], abs=1e-6), f"{name}: {key}"
        weights, others = (load_file(folder / name / "best" / "model.safetensors") for folder in (one, two))
        for key, tensor in weights.items():
            torch.testing.assert_close(others[key], tensor, rtol=1e-5, atol=2e-6, msg=f"{name}: {key}")
    # What was measured is what was written, though each process has running statistics of its own.
    task = build(APART, bird_folder, tiny_bert)
    load_weights(task.model, two / APART / "best" / "model.safetensors")
    task.model.eval()
    measured = task.evaluate(torch.device("cpu"))
    (written,) = (line for line in runs.read_metrics(two / APART) if line["split"] == "val")
    assert {key: written[key] for key in measured} == pytest.approx(measured, abs=1e-6)
    # Stopped by a signal to one of the two and gone on with, to the last bit as if never stopped.
    whole, parts = (load_file(two / name / "best" / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(parts[key], tensor) for key, tensor in whole.items())
    whole_lines, parts_lines = runs.read_metrics(two / "whole"), runs.read_metrics(two / "parts")
    assert [line | {"minutes": 0} for line in parts_lines] == [line | {"minutes": 0} for line in whole_lines]


if __name__ == "__main__":
    torch.set_num_threads(1)
    target, birds, bert_folder = map(Path, sys.argv[1:])
    for each in (*BIRDS, APART, *MATH):
        train(each, target, birds, bert_folder)
    assert not train_drawing(target / "whole")
    assert train_drawing(target / "parts", stop_at=10)
    assert not train_drawing(target / "parts")
