from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from myna import runs
from myna.config import TrainingSection, check
from myna.engine import loop
from myna.engine.checkpoint import load_state
from myna.engine.devices import find_device
from myna.engine.loop import Interrupted, Trainer, stop_on_signals
from myna.engine.optim import Pace
from myna.errors import DivergedError, UserError


def section(**settings: Any) -> TrainingSection:
    return check(TrainingSection, {"epochs": 3, "checkpoint_minutes": 60} | settings, "test")


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


# What a training does


def test_the_loop_is_the_plain_loop_to_the_bit(tmp_path: Path, tiny_task: Any) -> None:
    """The same training written out in bare torch."""
    torch.manual_seed(0)
    quiet = {"noise": 0.0, "dropout": 0.0}
    task, bare = tiny_task(**quiet), tiny_task(**quiet)
    settings = section(optimizer={"learning_rate": 0.05, "clip_norm": 0.5}, schedule={"name": "constant"})
    Trainer(task, settings, tmp_path).train()

    decayed = [bare.model[0].weight, bare.model[4].weight]
    others = [bare.model[0].bias, bare.model[1].weight, bare.model[1].bias, bare.model[4].bias]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0}])
    for epoch in range(3):
        bare.model.train()
        for examples in bare.batches(epoch):
            for group in optimizer.param_groups:
                group["lr"] = 0.05
            loss, _ = bare.loss(bare.model, examples, torch.device("cpu"))
            loss.backward()
            for parameter in bare.model.parameters():
                parameter.grad.mul_(1 / len(examples))
            torch.nn.utils.clip_grad_norm_(bare.model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
    assert largest_difference(weights_of(task.model), weights_of(bare.model)) == 0
    assert task.step_losses == bare.step_losses


def test_the_loss_curve_of_twenty_steps_is_the_stored_one(tmp_path: Path, tiny_task: Any) -> None:
    """Whatever changes these numbers changes every published figure: say so where it is done."""
    task = tiny_task(n_examples=40)
    settings = section(epochs=4, optimizer={"learning_rate": 0.03}, schedule={"warmup_ratio": 0.2}, average_decay=0.9)
    Trainer(task, settings, tmp_path).train()
    assert len(task.step_losses) == 20
    assert task.step_losses == pytest.approx(STORED_LOSSES, abs=2e-5)


# fmt: off
STORED_LOSSES = [
    0.71045, 2.46549, 1.37535, 2.40052, 1.15540, 1.59557, 0.71727, 1.83485, 1.46388, 0.49903,
    2.40193, 0.51275, 0.42336, 0.32172, 0.38250, 1.21139, 0.84821, 0.90758, 0.09504, 0.89780,
]
# fmt: on


def test_metrics_have_a_line_for_each_epoch_and_evaluation(tmp_path: Path, tiny_task: Any) -> None:
    task = tiny_task()
    at = Trainer(task, section(epochs=4, evaluate_epochs=2, schedule={"name": "constant"}), tmp_path).train()
    lines = runs.read_metrics(tmp_path)
    assert [(line["split"], line["epoch"], line["step"]) for line in lines] == [
        ("train", 1, 3),
        ("train", 2, 6),
        ("val", 2, 6),
        ("train", 3, 9),
        ("train", 4, 12),
        ("val", 4, 12),
    ]
    assert lines[0]["loss"] == pytest.approx(sum(task.step_losses[:3]) / 3)
    assert lines[0]["learning_rate"] == 2e-3
    assert set(lines[2]) == {"split", "epoch", "step", "minutes", "score", "error"}
    assert (at.epoch, at.step, at.n_lines) == (4, 12, 6)


def test_the_last_epoch_is_evaluated_even_between_its_turns(tmp_path: Path, tiny_task: Any) -> None:
    Trainer(tiny_task(), section(epochs=3, evaluate_epochs=2), tmp_path).train()
    assert [line["epoch"] for line in runs.read_metrics(tmp_path) if line["split"] == "val"] == [2, 3]


def test_time_counts_everything_once(tmp_path: Path, tiny_task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny_task()
    now = 0.0
    plain_loss, plain_evaluate = task.loss, task.evaluate

    def loss(*arguments: Any) -> Any:
        nonlocal now
        now += 1.0
        return plain_loss(*arguments)

    def evaluate(device: torch.device) -> Any:
        nonlocal now
        now += 10.0
        return plain_evaluate(device)

    monkeypatch.setattr(loop.time, "monotonic", lambda: now)
    monkeypatch.setattr(task, "loss", loss)
    monkeypatch.setattr(task, "evaluate", evaluate)
    trainer = Trainer(task, section(epochs=2), tmp_path)
    now += 1000.0  # between the two nothing is trained
    at = trainer.train()
    assert at.seconds == 2 * (3 + 10)
    minutes = [line["minutes"] for line in runs.read_metrics(tmp_path)]
    assert minutes == pytest.approx([3 / 60, 13 / 60, 16 / 60, 26 / 60])


def test_the_best_model_by_score_is_kept(tmp_path: Path, tiny_task: Any) -> None:
    task = tiny_task(scores=[0.1, 0.5, 0.5, 0.3])
    seen: list[dict[str, Tensor]] = []
    evaluate = task.evaluate
    task.evaluate = lambda device: (seen.append(weights_of(task.model)), evaluate(device))[1]
    at = Trainer(task, section(epochs=4), tmp_path).train()
    best = tmp_path / "best"
    assert sorted(path.name for path in best.iterdir()) == ["model.safetensors", "scores.json", "task.txt"]
    assert json.loads((best / "scores.json").read_text()) == {"epoch": 2, "score": 0.5}
    assert largest_difference(load_file(best / "model.safetensors"), seen[1]) == 0
    assert largest_difference(load_file(tmp_path / "last" / "model.safetensors"), seen[3]) == 0
    assert (at.best_score, at.n_bad) == (0.5, 2)


def test_what_was_measured_of_a_model_goes_with_it(tmp_path: Path, tiny_task: Any) -> None:
    measured = [tmp_path / name for name in ("scores-val.json", "predictions-test-10-plain.json", runs.ATTENTION)]
    is_there = {}
    for n_epochs, score in ((1, 0.5), (2, 0.4), (3, 0.6)):
        Trainer(tiny_task(scores=[score]), section(epochs=n_epochs), tmp_path, resume=True).train()
        is_there[score] = [path.exists() for path in measured]
        for path in measured:
            path.write_text("{}")
    # That of the second epoch is no better, and the one that was measured stays.
    assert is_there == {0.5: [False] * 3, 0.4: [True] * 3, 0.6: [False] * 3}


def test_the_rate_on_record_is_the_models_own(tmp_path: Path, tiny_task: Any) -> None:
    task = tiny_task()
    next(task.model.children()).pace = Pace(ratio=0.01)
    Trainer(task, section(epochs=1, schedule={"name": "constant"}), tmp_path).train()
    assert runs.read_metrics(tmp_path)[0]["learning_rate"] == 2e-3


def test_early_stopping_counts_evaluations_without_gain(tmp_path: Path, tiny_task: Any) -> None:
    task = tiny_task(scores=[0.1, 0.5, 0.5, 0.6, 0.2, 0.6, 0.9])
    at = Trainer(task, section(epochs=7, early_stopping=2), tmp_path).train()
    assert (at.epoch, at.best_score) == (6, 0.6)
    # Resumed, it stays stopped.
    assert Trainer(tiny_task(scores=[1.0]), section(epochs=7, early_stopping=2), tmp_path, resume=True).train() == at


def test_plateau_lowers_the_rate(tmp_path: Path, tiny_task: Any) -> None:
    settings = section(epochs=4, schedule={"name": "plateau", "patience": 0, "factor": 0.1})
    Trainer(tiny_task(scores=[0.5, 0.4, 0.6, 0.1]), settings, tmp_path).train()
    rates = [line["learning_rate"] for line in runs.read_metrics(tmp_path) if line["split"] == "train"]
    assert rates == pytest.approx([2e-3, 2e-3, 2e-4, 2e-4])


def test_the_average_is_evaluated_and_kept_but_not_trained(tmp_path: Path, tiny_task: Any) -> None:
    plain, averaged = tiny_task(), tiny_task()
    seen: list[dict[str, Tensor]] = []
    evaluate = averaged.evaluate
    averaged.evaluate = lambda device: (seen.append(weights_of(averaged.model)), evaluate(device))[1]
    trainer = Trainer(averaged, section(average_decay=0.9), tmp_path / "averaged")
    trainer.train()
    Trainer(plain, section(), tmp_path / "plain").train()
    assert largest_difference(weights_of(plain.model), weights_of(averaged.model)) == 0
    assert trainer.average is not None
    assert largest_difference(seen[-1], trainer.average.average) == 0
    assert largest_difference(seen[-1], weights_of(averaged.model)) > 1e-3
    best = load_file(tmp_path / "averaged" / "best" / "model.safetensors")
    epoch = json.loads((tmp_path / "averaged" / "best" / "scores.json").read_text())["epoch"]
    assert largest_difference(best, seen[epoch - 1]) == 0


@pytest.mark.parametrize("clip_norm", [0.0, 0.01])
def test_clipping_bounds_the_norm_of_the_mean_gradient(tmp_path: Path, tiny_task: Any, clip_norm: float) -> None:
    """With plain SGD the step shows the gradient: its norm is the rate times the bound."""
    task = tiny_task(n_examples=8, norm=False, dropout=0.0)
    before = weights_of(task.model)
    optimizer = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0, "learning_rate": 0.5, "clip_norm": clip_norm}
    Trainer(task, section(epochs=1, optimizer=optimizer, schedule={"name": "constant"}), tmp_path).train()
    after = weights_of(task.model)
    norm = sum((after[name] - before[name]).square().sum().item() for name in before) ** 0.5
    if clip_norm:
        assert norm == pytest.approx(0.5 * 0.01, rel=1e-3)
    else:
        assert norm > 0.1


@pytest.mark.parametrize("n_parts", [2, 3, 8, 11])
def test_a_batch_in_parts_is_the_batch(tmp_path: Path, tiny_task: Any, n_parts: int) -> None:
    """Without what draws or measures by batch, the parts' gradients add up; some parts of 11 are empty."""

    def train(accumulate: int) -> dict[str, Tensor]:
        task = tiny_task(norm=False, dropout=0.0, noise=0.0)
        task.model.double()
        task.inputs, task.targets = task.inputs.double(), task.targets.double()
        optimizer = {"name": "sgd", "learning_rate": 0.1}
        settings = section(accumulate=accumulate, optimizer=optimizer)
        Trainer(task, settings, tmp_path / str(accumulate)).train()
        return weights_of(task.model)

    whole, parts = train(1), train(n_parts)
    assert largest_difference(whole, parts) < 1e-14


def test_trainings_of_different_precision_share_a_process(
    tmp_path: Path, tiny_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "emulates_bf16", lambda: False)
    for number, precision in enumerate(("no", "bf16", "no")):
        task = tiny_task()
        Trainer(task, section(epochs=1, precision=precision), tmp_path / str(number)).train()
        assert task.model[0].weight.dtype == torch.float32
    first, rounded, again = (load_file(tmp_path / str(n) / "last" / "model.safetensors") for n in range(3))
    assert largest_difference(first, again) == 0
    assert largest_difference(first, rounded) > 0


def test_where_bf16_would_be_emulated_training_is_in_single_precision(
    tmp_path: Path, tiny_task: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loop, "emulates_bf16", lambda: True)
    weights = {}
    for precision in ("no", "bf16"):
        task = tiny_task()
        Trainer(task, section(epochs=1, precision=precision), tmp_path / precision).train()
        weights[precision] = task.model.state_dict()
        said = "training.precision: this processor has no bf16; training in single precision"
        assert (said in capsys.readouterr().err) == (precision == "bf16")
    assert all(torch.equal(tensor, weights["bf16"][name]) for name, tensor in weights["no"].items())


@pytest.mark.parametrize(
    ("machine", "capability", "has_accelerator", "emulates"),
    [
        ("x86_64", "AVX2", False, True),
        ("AMD64", "DEFAULT", False, True),
        ("x86_64", "AVX512", False, False),
        ("x86_64", "AVX2", True, False),
        ("aarch64", "DEFAULT", False, False),
    ],
)
def test_bf16_is_emulated_on_a_processor_without_avx512(
    machine: str, capability: str, has_accelerator: bool, emulates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: has_accelerator)
    assert loop.emulates_bf16() == emulates


@pytest.mark.parametrize("native", [True, False])
def test_bf16_on_a_gpu_is_emulated_where_it_has_none(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: (asked.append(options), native)[1])
    assert loop.emulates_bf16() is not native
    assert asked == [{"including_emulation": False}]


def test_each_process_finds_the_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert find_device() == torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert find_device() == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert find_device() == torch.device("cuda", 3)


# What goes wrong


def test_a_precision_that_the_machine_refuses_is_one_line(
    tmp_path: Path, tiny_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "emulates_bf16", lambda: False)

    def refuse(cpu: bool, mixed_precision: str) -> None:
        raise ValueError(f"{mixed_precision} requires a supported device.")

    monkeypatch.setattr(loop, "Accelerator", refuse)
    with pytest.raises(UserError, match=r"^training\.precision: bf16 does not work here: bf16 requires a supported"):
        Trainer(tiny_task(), section(precision="bf16"), tmp_path)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="fp16 works here")
def test_a_precision_that_does_nothing_here_is_said(
    tmp_path: Path, tiny_task: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer(tiny_task(), section(epochs=1, precision="fp16"), tmp_path).train()
    assert "training.precision: cpu has no fp16; training in single precision" in capsys.readouterr().err


@pytest.mark.parametrize(("what", "clip_norm"), [("loss", 1.0), ("gradient", 1.0), ("gradient", 0.0)])
def test_what_is_no_number_is_one_line_and_leaves_the_checkpoint(
    tmp_path: Path, tiny_task: Any, what: str, clip_norm: float
) -> None:
    task = tiny_task()
    plain = task.loss

    def loss(model: nn.Module, examples: Any, device: torch.device, progress: float) -> tuple[Tensor, Tensor]:
        value, weight = plain(model, examples, device)
        if len(task.step_losses) == 5:
            if what == "loss":
                return value * float("nan"), weight
            value.register_hook(lambda gradient: gradient * float("nan"))
        return value, weight

    task.loss = loss
    with pytest.raises(DivergedError) as caught:
        Trainer(task, section(optimizer={"clip_norm": clip_norm}), tmp_path).train()
    assert f"{tmp_path}: the {what} became nan at step 5; " in str(caught.value)
    assert "training.optimizer.learning_rate" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert load_state(tmp_path / "last" / "state.pt")["position"]["step"] == 3
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "last" / "model.safetensors").values())


def test_no_examples_are_one_line(tmp_path: Path, tiny_task: Any) -> None:
    with pytest.raises(UserError, match="nothing to train on"):
        Trainer(tiny_task(n_examples=0), section(), tmp_path)


def test_a_checkpoint_is_not_overwritten_by_another_training(tmp_path: Path, tiny_task: Any) -> None:
    Trainer(tiny_task(), section(epochs=1), tmp_path).train()
    with pytest.raises(UserError, match="holds a checkpoint of another training; resume it, or train in another"):
        Trainer(tiny_task(), section(epochs=1), tmp_path)


def test_metrics_of_a_run_without_a_checkpoint_start_again(tmp_path: Path, tiny_task: Any) -> None:
    (tmp_path / runs.METRICS).write_text('{"split": "train", "epoch": 1}\n{"spl')
    Trainer(tiny_task(), section(epochs=1), tmp_path, resume=True).train()
    assert [line["split"] for line in runs.read_metrics(tmp_path)] == ["train", "val"]
    assert "minutes" in runs.read_metrics(tmp_path)[0]


def test_the_checkpoint_comes_before_the_evaluation(tmp_path: Path, tiny_task: Any) -> None:
    task = tiny_task()

    def evaluate(device: torch.device) -> dict[str, float]:
        raise MemoryError

    task.evaluate = evaluate
    trainer = Trainer(task, section(average_decay=0.9), tmp_path)
    with pytest.raises(MemoryError):
        trainer.train()
    position = load_state(tmp_path / "last" / "state.pt")["position"]
    assert (position["epoch"], position["evaluated"]) == (1, 0)
    # The average was in place when it failed, and is not what was saved.
    saved = load_file(tmp_path / "last" / "model.safetensors")
    assert largest_difference(saved, weights_of(task.model)) == 0


def test_checkpoints_come_in_time(tmp_path: Path, tiny_task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One each 2 minutes of steps of 50 seconds, and those of the epoch's end."""
    task, now, saved_at = tiny_task(n_examples=80), 0.0, []
    plain_loss, plain_save = task.loss, Trainer._save_checkpoint

    def loss(*arguments: Any) -> Any:
        nonlocal now
        now += 50.0
        return plain_loss(*arguments)

    def save(trainer: Trainer) -> None:
        saved_at.append(trainer.position.step)
        plain_save(trainer)

    task.loss = loss
    monkeypatch.setattr(loop.time, "monotonic", lambda: now)
    monkeypatch.setattr(Trainer, "_save_checkpoint", save)
    Trainer(task, section(epochs=1, checkpoint_minutes=2), tmp_path).train()
    assert saved_at == [3, 6, 9, 10, 10]


@pytest.mark.parametrize(
    "damage",
    [
        {"position": {"epoch": 1, "unknown": 2}},
        {"optimizer": {}},
        {"schedule": {}},
        {"average": None},
        {"random": [{}]},
        {"position": None},
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_line(tmp_path: Path, tiny_task: Any, damage: dict[str, Any]) -> None:
    settings = section(epochs=1, average_decay=0.5)
    Trainer(tiny_task(), settings, tmp_path).train()
    state = load_state(tmp_path / "last" / "state.pt")
    torch.save(state | damage, tmp_path / "last" / "state.pt")
    with pytest.raises(UserError, match=r"state\.pt: of a run with other settings, or of another version") as caught:
        Trainer(tiny_task(), settings, tmp_path, resume=True)
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_of_more_processes_is_not_resumed_by_one(tmp_path: Path, tiny_task: Any) -> None:
    Trainer(tiny_task(), section(epochs=1), tmp_path).train()
    state = load_state(tmp_path / "last" / "state.pt")
    torch.save(state | {"random": state["random"] * 2}, tmp_path / "last" / "state.pt")
    with pytest.raises(UserError, match="of a run of 2 processes; resume it with as many, not 1"):
        Trainer(tiny_task(), section(epochs=1), tmp_path, resume=True)


# Signals


@pytest.fixture
def handlers() -> Iterator[list[int]]:
    """Handlers as a program in the foreground has them, of which that of SIGTERM makes a note."""
    noted: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, frame: noted.append(number))
    yield noted
    for number, handler in previous.items():
        signal.signal(number, handler)


def interrupting(task: Any, *numbers: int, at_step: int) -> Any:
    """Return the task's loss, in which signals come at a step."""
    plain = task.loss

    def loss(*arguments: Any) -> Any:
        if len(task.step_losses) == at_step:
            for number in numbers:
                os.kill(os.getpid(), number)
        return plain(*arguments)

    return loss


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_writes_a_checkpoint(
    tmp_path: Path, tiny_task: Any, handlers: list[int], number: int
) -> None:
    task = tiny_task()
    task.loss = interrupting(task, number, at_step=4)
    with pytest.raises(Interrupted):
        Trainer(task, section(), tmp_path).train()
    position = load_state(tmp_path / "last" / "state.pt")["position"]
    assert (position["step"], position["step_in_epoch"], position["epoch"]) == (5, 2, 1)
    assert handlers == [], "it did not reach the handler that was there before"
    os.kill(os.getpid(), signal.SIGTERM)
    assert handlers == [signal.SIGTERM], "which is back now"


def test_a_signal_ends_an_evaluation_at_once_and_a_resumed_run_repeats_it(
    tmp_path: Path, tiny_task: Any, handlers: list[int]
) -> None:
    task = tiny_task()
    evaluate, ended = task.evaluate, []

    def be_interrupted(device: torch.device) -> dict[str, float]:
        scores: dict[str, float] = evaluate(device)
        if task.n_evaluations == 2:
            os.kill(os.getpid(), signal.SIGINT)
        ended.append(task.n_evaluations)
        return scores

    task.evaluate = be_interrupted
    with pytest.raises(Interrupted):
        Trainer(task, section(), tmp_path / "stopped").train()
    assert ended == [1]
    resumed, plain = tiny_task(), tiny_task()
    Trainer(resumed, section(), tmp_path / "stopped", resume=True).train()
    Trainer(plain, section(), tmp_path / "plain").train()
    assert largest_difference(weights_of(resumed.model), weights_of(plain.model)) == 0
    for name in ("metrics.jsonl", "best/scores.json"):
        lines = [(tmp_path / folder / name).read_text() for folder in ("stopped", "plain")]
        first, second = ([re.sub(r'"minutes": [^,]*', "", line) for line in text.splitlines()] for text in lines)
        assert first == second


def test_a_signal_while_the_checkpoint_is_written_comes_before_the_evaluation(
    tmp_path: Path, tiny_task: Any, handlers: list[int]
) -> None:
    task = tiny_task()
    trainer = Trainer(task, section(), tmp_path)
    save = trainer._save_checkpoint

    def be_asked() -> None:
        save()
        os.kill(os.getpid(), signal.SIGTERM)

    trainer._save_checkpoint = be_asked  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        trainer.train()
    assert task.n_evaluations == 0


def test_a_second_signal_kills(tmp_path: Path, tiny_task: Any, handlers: list[int]) -> None:
    task = tiny_task()
    task.loss = interrupting(task, signal.SIGTERM, signal.SIGINT, at_step=4)
    with pytest.raises(KeyboardInterrupt):
        Trainer(task, section(), tmp_path).train()
    assert load_state(tmp_path / "last" / "state.pt")["position"]["step"] == 3


def test_what_the_process_was_started_to_ignore_stays_ignored(handlers: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_signals() as stop_asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop_asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_asked()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_training_in_a_thread_does_without_signals(tmp_path: Path, tiny_task: Any) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(Trainer(tiny_task(), section(epochs=1), tmp_path).train()))
    thread.start()
    thread.join()
    assert [at.epoch for at in found] == [1]
