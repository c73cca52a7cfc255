"""The training loop. It knows a task's model, batches, loss and metrics, and nothing else of either study.

Read `train` from top to bottom: epochs, steps, checkpoint, evaluation, best, early stopping. A run that
was killed anywhere goes on from its last checkpoint and ends, on a CPU, with the same bits as one that was not.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from myna.config import TrainingSection
from myna.engine.checkpoint import (
    STATE,
    WEIGHTS,
    load_state,
    load_weights,
    recover_folder,
    replace_folder,
    save_state,
    save_weights,
)
from myna.engine.devices import emulates_bf16
from myna.engine.distributed import split
from myna.engine.optim import Schedule, WeightAverage, build_optimizer
from myna.engine.seeding import random_states, restore_random_states, seed_all
from myna.engine.tracking import Metrics, Tick, console, progress
from myna.errors import DivergedError, UserError
from myna.files import write_json
from myna.runs import METRICS, forget_measurements

LAST, BEST = "last", "best"


class Task(Protocol):
    """What a study tells the loop: its model, its batches, the loss of a batch, the metrics of a split."""

    model: nn.Module
    score_name: str

    def batches(self, epoch: int) -> Sequence[Sequence[int]]:
        """Return the examples of each step of an epoch, the same whenever it is asked."""

    def loss(
        self, model: nn.Module, examples: Sequence[int], device: torch.device, progress: float
    ) -> tuple[Tensor, Tensor]:
        """Return the summed loss of some examples, and the weight to divide it by.

        `progress` is the share of all steps that is done.
        """

    def evaluate(self, device: torch.device) -> dict[str, float]:
        """Return the metrics of the validation split; the one called `score_name` decides, higher is better."""

    def save(self, folder: Path) -> None:
        """Write what a model folder needs beside the weights."""


class Interrupted(KeyboardInterrupt):
    """The user or the system asked the training to stop; the checkpoint is written."""


class StopFlag:
    """Whether a signal has asked to stop.

    Attributes:
        asked: it has.
        at_once: all is saved, and one that comes now raises `Interrupted` there and then.
    """

    asked = at_once = False

    def __call__(self) -> bool:
        """Return whether one has come."""
        return self.asked


@dataclass
class Position:
    """Where a training stands: all that a checkpoint holds in plain numbers.

    Attributes:
        epoch: epochs completed.
        step_in_epoch: optimiser steps done of the epoch after them.
        step: optimiser steps done in all.
        evaluated: epochs whose evaluation is done.
        loss_sum: summed training loss of the current epoch.
        loss_weight: what divides it.
        best_score: best evaluation so far.
        n_bad: evaluations since then.
        n_lines: lines of metrics.jsonl.
        seconds: time spent training and evaluating.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    evaluated: int = 0
    loss_sum: float = 0.0
    loss_weight: float = 0.0
    best_score: float = -math.inf
    n_bad: int = 0
    n_lines: int = 0
    seconds: float = 0.0


class Trainer:
    """A training of a task in a run folder.

    Args:
        task: model, batches, loss and metrics.
        section: the training's settings.
        folder: the run folder, where `last`, `best` and metrics.jsonl go.
        resume: go on from the folder's last checkpoint, if there is one.

    Attributes:
        precision: in which it is trained, which may be less than the settings ask for.

    Raises:
        UserError: the settings do not work on this machine, there are no examples, or the folder's checkpoint
            cannot be gone on from (or is there, and `resume` was not asked for).
    """

    def __init__(self, task: Task, section: TrainingSection, folder: Path, *, resume: bool = False) -> None:
        self.task, self.section, self.folder = task, section, folder
        self.accelerator = start_accelerator(section.precision)
        seed_all(section.seed + self.accelerator.process_index)
        self.precision = str(self.accelerator.mixed_precision) if self.accelerator.native_amp else "no"
        self.steps_per_epoch = len(task.batches(0))
        if not self.steps_per_epoch:
            raise UserError(f"{folder}: nothing to train on: the task has no examples")
        self.schedule = Schedule(section.schedule, section.epochs * self.steps_per_epoch, self.steps_per_epoch)
        optimizer = build_optimizer(task.model, section.optimizer)
        self.peak_rates = [group["lr"] for group in optimizer.param_groups]
        # `self.model` is for training; `task.model`, which it wraps, for all else. Both are on the device now.
        self.model, self.optimizer = self.accelerator.prepare(task.model, optimizer)
        self.average = WeightAverage(task.model, section.average_decay) if section.average_decay else None
        self.metrics = Metrics(folder / METRICS)
        self.position = Position()
        for name in (LAST, BEST):
            self._on_main(partial(recover_folder, folder / name))
        if resume and (folder / LAST).exists():
            self._read_checkpoint()
        elif (folder / LAST).exists():
            raise UserError(f"{folder}: holds a checkpoint of another training; resume it, or train in another folder")
        self._on_main(lambda: self.metrics.cut(self.position.n_lines))
        self._counted = self._saved = time.monotonic()

    def train(self) -> Position:
        """Train to the end of the last epoch, or until early stopping.

        Raises:
            Interrupted: a signal asked to stop; a checkpoint was written first.
            DivergedError: the loss is not a number any more.
            UserError: the disk is full.
        """
        section, at = self.section, self.position
        total, is_main = section.epochs * self.steps_per_epoch, self.accelerator.is_main_process
        self._counted = self._saved = time.monotonic()
        with stop_on_signals() as stop_asked, progress(self.folder.name, total, at.step, shown=is_main) as tick:
            while not self._is_finished():
                if at.evaluated == at.epoch:
                    self._train_epoch(stop_asked, tick)
                    # Evaluation can fail or run out of memory: what was trained must be safe before it.
                    self._save_checkpoint()
                if at.evaluated < at.epoch:
                    # Of several processes, one that left would keep the others waiting.
                    stop_asked.at_once = self.accelerator.num_processes == 1
                    # One may have come while the checkpoint was written.
                    if any(self._any_process(stop_asked())):
                        raise Interrupted
                    self._evaluate()
                    stop_asked.at_once = False
                    self._save_checkpoint()
        return at

    def _is_finished(self) -> bool:
        at, section = self.position, self.section
        stopped_early = 0 < section.early_stopping <= at.n_bad
        return at.evaluated == at.epoch and (at.epoch >= section.epochs or stopped_early)

    def _train_epoch(self, stop_asked: Callable[[], bool], tick: Tick) -> None:
        """Take the steps that are left of an epoch."""
        at, section = self.position, self.section
        self.model.train()
        for examples in self.task.batches(at.epoch)[at.step_in_epoch :]:
            loss = self._step(examples)
            tick(note=f"epoch {at.epoch + 1}/{section.epochs} loss {loss:.3f}")
            is_due = time.monotonic() - self._saved > 60 * section.checkpoint_minutes
            stop, save = self._any_process(stop_asked(), is_due)
            if stop or save:
                self._save_checkpoint()
            if stop:
                raise Interrupted
        loss = at.loss_sum / at.loss_weight
        # That of the parameters which have no pace of their own.
        rate = section.optimizer.learning_rate * self.schedule.ratio(at.step - 1)
        at.epoch, at.step_in_epoch, at.loss_sum, at.loss_weight = at.epoch + 1, 0, 0.0, 0.0
        if at.epoch % section.evaluate_epochs and at.epoch < section.epochs:
            at.evaluated = at.epoch  # none is due
        self._write_metrics("train", loss=loss, learning_rate=rate)

    def _step(self, examples: Sequence[int]) -> float:
        """Take one optimiser step over some examples, in parts, and return their mean loss."""
        at = self.position
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates, strict=True):
            rise = self.schedule.rise(at.step, group["start_ratio"], group["warmup_ratio"])
            group["lr"] = peak * rise * self.schedule.ratio(at.step)
        loss_sum, weight = self._backward(examples)
        loss = loss_sum / weight
        self._refuse_unless_finite("loss", loss)
        # Where nothing is clipped the norm is taken too: a gradient that is no number would spoil the weights unseen.
        limit = self.section.optimizer.clip_norm or math.inf
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), limit)
        # With fp16, accelerate looks for infinite gradients itself, and skips those steps.
        if norm is not None and not self.accelerator.scaler:
            self._refuse_unless_finite("gradient", norm.item())
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average:
            self.average.update()
        at.step, at.step_in_epoch = at.step + 1, at.step_in_epoch + 1
        at.loss_sum, at.loss_weight = at.loss_sum + loss_sum, at.loss_weight + weight
        return loss

    def _refuse_unless_finite(self, what: str, value: float) -> None:
        """Stop before a step that would spoil the weights."""
        if not math.isfinite(value):
            raise DivergedError(
                f"{self.folder}: the {what} became {value} at step {self.position.step + 1}; begin another run with a "
                "lower training.optimizer.learning_rate or a higher training.schedule.warmup_ratio"
            )

    def _backward(self, examples: Sequence[int]) -> tuple[float, float]:
        """Add up the gradients of all parts of a batch, over all processes, and divide by their weight.

        Sums are divided at the end, so that neither the number of parts nor of processes changes the result.
        """
        n_processes, device = self.accelerator.num_processes, self.accelerator.device
        n_parts = min(self.section.accumulate, len(examples) // n_processes)
        if n_parts:
            parts, share = split(examples, n_parts * n_processes)[self.accelerator.process_index :: n_processes], 1.0
        else:
            # Too few to go round: each process computes all of them, and they count once between all.
            parts, share = [examples], 1 / n_processes
        sums = torch.zeros(2, dtype=torch.float64)
        progress = min(1.0, self.position.step / self.schedule.n_steps)
        for number, part in enumerate(parts, start=1):
            # The processes exchange gradients once, in the backward pass of the last part.
            with nullcontext() if number == len(parts) else self.accelerator.no_sync(self.model):
                loss, weight = self.task.loss(self.model, part, device, progress)
                self.accelerator.backward(loss * share)
            sums += torch.tensor([loss.item(), weight.item()], dtype=torch.float64) * share
        if n_processes > 1:
            sums = self.accelerator.reduce(sums.to(device), "sum")
        loss_sum, weight_sum = sums.tolist()
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                # DDP has averaged the sums of all processes.
                parameter.grad.mul_(n_processes / weight_sum)
        return loss_sum, weight_sum

    def _evaluate(self) -> None:
        """Measure the model (its averaged weights, where kept), and keep it as `best` if it is."""
        at = self.position
        with self.average.in_place() if self.average else nullcontext():
            self.task.model.eval()
            if self.accelerator.num_processes > 1:
                # Running statistics are of each process's own photos, and those of the main one are written.
                for buffer in self.task.model.buffers():
                    torch.distributed.broadcast(buffer, 0)
            # What the main process found counts, so that all of them decide alike.
            (scores,) = broadcast_object_list([self.task.evaluate(self.accelerator.device)])
            score = scores[self.task.score_name]
            at.evaluated = at.epoch
            at.n_bad += 1
            if score > at.best_score:
                at.best_score, at.n_bad = score, 0
                self._on_main(partial(forget_measurements, self.folder))
                self._on_main(lambda: replace_folder(self.folder / BEST, partial(self._write_model, scores)))
        self.schedule.observe(score)
        self._write_metrics("val", **scores)
        if self.accelerator.is_main_process:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
            console.print(f"{self.folder.name} epoch {at.epoch}/{self.section.epochs}: {shown}", markup=False)

    def _write_model(self, scores: dict[str, float], folder: Path) -> None:
        """Write a model folder: weights and what the task adds to use them."""
        save_weights(folder / WEIGHTS, self.task.model.state_dict())
        write_json(folder / "scores.json", {"epoch": self.position.epoch, **scores})
        self.task.save(folder)

    def _write_metrics(self, split: str, **values: float) -> None:
        """Write a line of metrics.jsonl."""
        self._count_time()
        at = self.position
        place = {"split": split, "epoch": at.epoch, "step": at.step, "minutes": at.seconds / 60}
        self._on_main(lambda: self.metrics.write(**place, **values))
        at.n_lines += 1

    def _save_checkpoint(self) -> None:
        """Replace `last` by the present state."""
        self._count_time()
        scaler = self.accelerator.scaler
        state = {
            "position": asdict(self.position),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaler": scaler.state_dict() if scaler else None,
            "random": gather_object([random_states()]),
        }

        def write(folder: Path) -> None:
            save_weights(folder / WEIGHTS, self.task.model.state_dict())
            save_state(folder / STATE, state)

        self._on_main(lambda: replace_folder(self.folder / LAST, write))
        self._saved = time.monotonic()

    def _read_checkpoint(self) -> None:
        """Take up the last checkpoint."""
        path = self.folder / LAST / STATE
        state = load_state(path)
        load_weights(self.task.model, path.with_name(WEIGHTS))
        n_then, n_now = len(state.get("random", ())), self.accelerator.num_processes
        if n_then != n_now:
            raise UserError(f"{path}: of a run of {n_then} processes; resume it with as many, not {n_now}")
        try:
            self.position = Position(**state["position"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            if self.average:
                self.average.load_state_dict(state["average"])
            if self.accelerator.scaler:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            restore_random_states(state["random"][self.accelerator.process_index])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{path}: of a run with other settings, or of another version: {error}") from None

    def _count_time(self) -> None:
        """Add the time since the last count."""
        now = time.monotonic()
        self.position.seconds += now - self._counted
        self._counted = now

    def _any_process(self, *flags: bool) -> list[bool]:
        """Return which flags are set in any of the processes, so that all of them act alike."""
        if self.accelerator.num_processes == 1:
            return list(flags)
        counts = torch.tensor(flags, dtype=torch.float32, device=self.accelerator.device)
        return [count > 0 for count in self.accelerator.reduce(counts, "sum").tolist()]

    def _on_main(self, action: Callable[[], None]) -> None:
        """Do something in the main process while the others wait."""
        if self.accelerator.is_main_process:
            action()
        self.accelerator.wait_for_everyone()


def start_accelerator(precision: str) -> Accelerator:
    """Find the device and the other processes.

    Raises:
        UserError: the precision does not work here.
    """
    # Accelerate keeps one state a process, and would refuse a second training of another precision.
    AcceleratorState._reset_state()
    if precision == "bf16" and emulates_bf16():
        # Products in emulated bf16 took sixty times as long as in single precision, and torch has no LSTM in it.
        console.print("training.precision: this processor has no bf16; training in single precision")
        precision = "no"
    try:
        # Left to itself, Accelerate does not see the other processes where there is no GPU.
        accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision=precision)
    except ValueError as error:
        raise UserError(f"training.precision: {precision} does not work here: {error}") from None
    if precision != "no" and not accelerator.native_amp and accelerator.is_main_process:
        console.print(f"training.precision: {accelerator.device} has no {precision}; training in single precision")
    return accelerator


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Turn Ctrl-C and a polite kill into a flag, so that a step is never cut in two; a second one kills.

    Yields:
        whether one has come. Outside the main thread, which alone gets signals, none ever does; and one that the
        process was started to ignore, as in the background of a shell script, stays ignored.
    """
    flag = StopFlag()
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if in_main_thread}
    previous = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}

    def ask(number: int, frame: object) -> None:
        flag.asked = True
        restore()
        if flag.at_once:
            raise Interrupted

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    for number in previous:
        signal.signal(number, ask)
    try:
        yield flag
    finally:
        restore()
