"""A disk that is full, or cannot be written: one line, the checkpoint stays, and the training goes on later."""

from __future__ import annotations

import errno
import io
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from myna import runs
from myna.config import TrainingSection, check
from myna.engine.loop import Trainer
from myna.engine.tracking import Metrics
from myna.errors import UserError

SETTINGS = check(TrainingSection, {"epochs": 2, "checkpoint_minutes": 0}, "test")


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    """Let no file grow larger: what a full disk is to a process, on any disk and for any user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Killed(BaseException):
    """Stands for a kill."""


def train(task: Any, folder: Path, n_losses: int = 1000) -> None:
    """Train, or go on, for so many losses."""
    plain = task.loss

    def loss(*arguments: Any) -> Any:
        if len(task.step_losses) == n_losses:
            raise Killed
        return plain(*arguments)

    task.loss = loss
    Trainer(task, SETTINGS, folder, resume=True).train()


# Weights of the task take 1 kB, its state 20.
@pytest.mark.parametrize("n_bytes", [100, 3000])
def test_a_full_disk_is_one_line_and_costs_no_checkpoint(tmp_path: Path, tiny_task: Any, n_bytes: int) -> None:
    train(tiny_task(), tmp_path / "whole")
    with pytest.raises(Killed):
        train(tiny_task(), tmp_path / "run", n_losses=2)
    before = contents(tmp_path / "run" / "last")
    with files_up_to(n_bytes), pytest.raises(UserError) as caught:
        train(tiny_task(), tmp_path / "run")
    assert "cannot be written: " in str(caught.value)
    assert "File too large" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path / "run" / "last") == before
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"last", runs.METRICS}
    train(tiny_task(), tmp_path / "run")
    for name in ("last/model.safetensors", "best/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_line_of_metrics_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / runs.METRICS)
    metrics.write(split="train", epoch=1)
    with files_up_to(40), pytest.raises(UserError, match=r"metrics\.jsonl: cannot be written: File too large$"):
        metrics.write(split="val", epoch=1)
    assert runs.read_metrics(tmp_path) == [{"split": "train", "epoch": 1}]
    metrics.cut(1)
    metrics.write(split="val", epoch=1)
    assert runs.read_metrics(tmp_path) == [{"split": "train", "epoch": 1}, {"split": "val", "epoch": 1}]


@pytest.fixture
def made_read_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Make a folder read-only: by its modes, or by refusing the calls where they are root's, whom no mode stops."""
    closed: list[Path] = []

    def close(folder: Path) -> None:
        if os.geteuid():
            closed.extend((folder, *folder.rglob("*")))
            for path in closed:
                path.chmod(0o555 if path.is_dir() else 0o444)
            return
        for module, name in (
            *((os, name) for name in ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "chmod")),
            (io, "open"),
        ):
            monkeypatch.setattr(module, name, refusing(getattr(module, name), folder))

    yield close
    for path in closed:
        path.chmod(0o755 if path.is_dir() else 0o644)


def refusing(call: Any, folder: Path) -> Any:
    """Return a call of the system that changes nothing in a folder."""

    def run(path: Any, *arguments: Any, **options: Any) -> Any:
        is_reading = call.__name__ == "open" and (arguments[:1] in ((), ("r",), ("rb",), (os.O_RDONLY | os.O_CLOEXEC,)))
        if not is_reading and str(path).startswith(str(folder)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return call(path, *arguments, **options)

    return run


def test_a_read_only_run_folder_is_one_line_and_stays_as_it_is(
    train: Callable[..., tuple[int, str]],
    made_read_only: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert train("--set", "training.epochs=1")[0] == 0
    folder = runs.runs_folder() / "small"
    before = contents(folder)
    made_read_only(folder)
    status, said = train("--resume")
    monkeypatch.undo()
    assert status == 2
    assert said.startswith(f"myna: {folder}")
    assert "cannot be written: " in said
    assert said.count("\n") == 1
    assert contents(folder) == before
