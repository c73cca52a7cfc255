"""A run that was stopped anywhere, and goes on, ends with the same bits as one that was not."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from myna import runs
from myna.config import TrainingSection, check
from myna.engine import checkpoint, loop
from myna.engine.checkpoint import load_state
from myna.engine.loop import Interrupted, Trainer

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"schedule": {"warmup_ratio": 0.3}},
    "average": {"average_decay": 0.9, "optimizer": {"name": "sgd"}},
    "plateau": {
        "schedule": {"name": "plateau", "patience": 0},
        "optimizer": {"name": "adam"},
        "early_stopping": 3,
    },
    "parts": {"accumulate": 3, "evaluate_epochs": 2, "precision": "bf16"},
}
N_EPOCHS, STEPS_PER_EPOCH = 4, 3


@pytest.fixture(autouse=True)
def _bf16_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small products of these tests are fast enough in bf16 even where it is emulated."""
    monkeypatch.setattr(loop, "emulates_bf16", lambda: False)


class Killed(BaseException):
    """Stands for a kill."""


class DyingTask:
    """A task that kills the process at a loss or an evaluation of its choice, each counted from 0."""

    def __init__(self, task: Any, at_loss: int = -1, at_evaluation: int = -1) -> None:
        self.task, self.score_name, self.model = task, task.score_name, task.model
        self.batches, self.save = task.batches, task.save
        self.n_losses = self.n_evaluations = 0
        self.at_loss, self.at_evaluation = at_loss, at_evaluation

    def loss(self, *arguments: Any) -> Any:
        if self.n_losses == self.at_loss:
            raise Killed
        self.n_losses += 1
        return self.task.loss(*arguments)

    def evaluate(self, device: torch.device) -> Any:
        if self.n_evaluations == self.at_evaluation:
            raise Killed
        self.n_evaluations += 1
        return self.task.evaluate(device)


Outcome = dict[str, Any]


def outcome(folder: Path) -> Outcome:
    """Return everything that a training leaves, but for the time that it took."""
    state = load_state(folder / "last" / "state.pt")
    del state["position"]["seconds"]
    return {
        "state": state,
        "last": load_file(folder / "last" / "model.safetensors"),
        "best": load_file(folder / "best" / "model.safetensors"),
        "scores": (folder / "best" / "scores.json").read_text(),
        "metrics": [{k: v for k, v in line.items() if k != "minutes"} for line in runs.read_metrics(folder)],
        "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*")),
    }


def assert_same(a: Any, b: Any, place: str = "") -> None:
    """Compare nested values, tensors to the bit."""
    assert type(a) is type(b), place
    if isinstance(a, dict):
        assert a.keys() == b.keys(), place
        for key in a:
            assert_same(a[key], b[key], f"{place}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), place
        for number, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{place}/{number}")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, place
        assert torch.equal(a, b), place
    else:
        assert a == b, place


@pytest.fixture
def train(tiny_task: Any, tmp_path: Path) -> Callable[..., None]:
    """Train, or go on, in the folder `run`; what is drawn before must not matter, and so differs each time."""

    def run(name: str, *, minutes: float = 60, folder: str = "run", **dying: int) -> None:
        task = DyingTask(tiny_task(), **dying)
        training = {"epochs": N_EPOCHS, "checkpoint_minutes": minutes} | SETTINGS[name]
        trainer = Trainer(task, check(TrainingSection, training, "test"), tmp_path / folder, resume=True)
        trainer.train()

    return run


UNSTOPPED: dict[str, Outcome] = {}


@pytest.fixture
def expected(train: Callable[..., None], tmp_path: Path) -> Callable[[str], Outcome]:
    """The outcome without a stop, of a training done once."""

    def run(name: str) -> Outcome:
        if name not in UNSTOPPED:
            train(name, folder="whole")
            UNSTOPPED[name] = outcome(tmp_path / "whole")
        return UNSTOPPED[name]

    return run


@pytest.mark.parametrize("name", SETTINGS)
def test_killed_in_every_step_in_turn(
    name: str, train: Callable[..., None], expected: Callable[[str], Outcome], tmp_path: Path
) -> None:
    """With a checkpoint after each step, each of the many resumed trainings takes one step and dies."""
    whole = expected(name)
    losses_per_step = SETTINGS[name].get("accumulate", 1)
    for _ in range(whole["state"]["position"]["step"] - 1):
        with pytest.raises(Killed):
            train(name, minutes=0, at_loss=losses_per_step)
    train(name, minutes=0, at_loss=losses_per_step)
    assert_same(outcome(tmp_path / "run"), whole)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("at_loss", [0, 2, 3, 8])
def test_killed_far_from_the_last_checkpoint(
    name: str, at_loss: int, train: Callable[..., None], expected: Callable[[str], Outcome], tmp_path: Path
) -> None:
    """Steps after the checkpoint are taken again, and the lines of metrics after it are written again."""
    with pytest.raises(Killed):
        train(name, at_loss=at_loss)
    with pytest.raises(Killed):
        train(name, at_loss=4)
    train(name)
    assert_same(outcome(tmp_path / "run"), expected(name))


@pytest.mark.parametrize("name", SETTINGS)
def test_killed_in_every_evaluation_in_turn(
    name: str, train: Callable[..., None], expected: Callable[[str], Outcome], tmp_path: Path
) -> None:
    """The resumed training goes straight to the evaluation that the one before died in, and dies in the next."""
    whole = expected(name)
    with pytest.raises(Killed):
        train(name, at_evaluation=0)
    n_evaluations = sum(line["split"] == "val" for line in whole["metrics"])
    for _ in range(n_evaluations - 1):
        with pytest.raises(Killed):
            train(name, at_evaluation=1, at_loss=STEPS_PER_EPOCH * 2 * 3)
    train(name, at_loss=0)
    assert_same(outcome(tmp_path / "run"), whole)


@pytest.mark.parametrize("name", ["plain", "average"])
def test_killed_in_any_operation_on_the_disk(
    name: str,
    train: Callable[..., None],
    expected: Callable[[str], Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every 5th of all that makes, renames or removes a file is the last thing that a process does."""
    whole = expected(name)
    n_left = 0
    dead = False

    def dying(operation: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal n_left, dead
            dead = dead or n_left == 0
            if dead:
                # Nothing that would clean up gets to the disk either.
                raise Killed
            n_left -= 1
            return operation(*arguments, **options)

        return run

    for operation in ("rename", "replace", "mkdir", "touch", "unlink", "chmod"):
        monkeypatch.setattr(Path, operation, dying(getattr(Path, operation)))
    monkeypatch.setattr(checkpoint.shutil, "rmtree", dying(shutil.rmtree))
    n_killed = 0
    for n_allowed in range(3, 200, 5):
        n_left, dead = n_allowed, False
        with suppress(Killed):
            train(name)
            break
        n_killed += 1
    assert 5 < n_killed < 30
    monkeypatch.undo()
    assert_same(outcome(tmp_path / "run"), whole)


@pytest.mark.parametrize("at_loss", [1, 2, 3, 7])
def test_stopped_by_ctrl_c_twice(
    at_loss: int, train: Callable[..., None], expected: Callable[[str], Outcome], tmp_path: Path, tiny_task: Any
) -> None:
    """The step in which it comes is taken to its end, the last of an epoch too."""
    whole = expected("average")
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for at in (at_loss, 1):
            task = DyingTask(tiny_task())
            task.loss = stopping(task, at)
            training = {"epochs": N_EPOCHS, "checkpoint_minutes": 60} | SETTINGS["average"]
            trainer = Trainer(task, check(TrainingSection, training, "test"), tmp_path / "run", resume=True)
            with pytest.raises(Interrupted):
                trainer.train()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert load_state(tmp_path / "run" / "last" / "state.pt")["position"]["step"] == at_loss + 1 + 2
    train("average")
    assert_same(outcome(tmp_path / "run"), whole)


def stopping(task: DyingTask, at_loss: int) -> Callable[..., Any]:
    """Return the loss of a task, in which Ctrl-C comes once."""
    plain = task.loss

    def loss(*arguments: Any) -> Any:
        if task.n_losses == at_loss:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(*arguments)

    return loss


def test_the_settings_bring_about_what_has_to_be_resumed(expected: Callable[[str], Outcome]) -> None:
    """Else the tests above would not see it forgotten."""
    plateau = expected("plateau")["state"]
    assert plateau["schedule"]["n_drops"] > 1
    assert plateau["position"]["n_bad"] > 1
    assert expected("average")["state"]["average"]["n_updates"] == N_EPOCHS * STEPS_PER_EPOCH
    assert expected("average")["state"]["optimizer"]["state"][0]["momentum_buffer"].any()


def test_a_finished_run_stays_as_it_is(train: Callable[..., None], tmp_path: Path) -> None:
    train("plain")
    before = outcome(tmp_path / "run")
    train("plain", at_loss=0, at_evaluation=0)
    assert_same(outcome(tmp_path / "run"), before)


def test_a_finished_run_goes_on_to_more_epochs(
    train: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule that does not look at the end gives what the longer training would have given."""
    monkeypatch.setitem(SETTINGS, "short", {"schedule": {"name": "constant"}, "epochs": 2})
    monkeypatch.setitem(SETTINGS, "long", {"schedule": {"name": "constant"}, "epochs": 5})
    train("short")
    train("long")
    train("long", folder="whole")
    assert_same(outcome(tmp_path / "run"), outcome(tmp_path / "whole"))


def test_time_adds_up(train: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train("plain", at_loss=8)
    before = load_state(tmp_path / "run" / "last" / "state.pt")["position"]["seconds"]
    train("plain")
    minutes = [line["minutes"] for line in runs.read_metrics(tmp_path / "run")]
    assert before > 0
    assert minutes == sorted(minutes)
    assert 60 * minutes[-1] > before
