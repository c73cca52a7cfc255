"""What tests of faults share: the command, run here, and a small training of it on a data folder of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from myna.cli.app import run
from myna.mathqa.problems import Problem, as_items
from myna.runs import runs_folder

CONFIG = """
name = "small"
[data]
min_word_count = 1
[model]
glove = "none"
learned_size = 6
encoder_size = 8
decoder_size = 12
token_size = 6
[training]
epochs = 2
batch_size = 3
"""
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `myna` in this process; returns its status and what it said on standard error."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["myna", *map(str, arguments)])
        capsys.readouterr()
        status = run()
        return status, capsys.readouterr().err

    return call


@pytest.fixture
def problem_folder(tmp_path: Path, eight_problems: list[Problem]) -> Path:
    """A data folder with the same eight problems in each split."""
    folder = tmp_path / "data"
    (folder / "mathqa").mkdir(parents=True)
    items = as_items(eight_problems, [""] * 8)
    for split in ("train", "dev", "test"):
        (folder / "mathqa" / f"{split}.json").write_text(json.dumps(items))
    return folder


@pytest.fixture
def small_config(tmp_path: Path) -> Path:
    """The config of a training that takes a second."""
    path = tmp_path / "small.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def train(command: Command, problem_folder: Path, small_config: Path) -> Command:
    """Run `myna math train` on the small config and those problems, with further arguments."""

    def call(*arguments: object) -> tuple[int, str]:
        return command("math", "train", small_config, "--data", problem_folder, *arguments)

    return call


@pytest.fixture
def weights() -> Callable[[str], bytes]:
    """Return the bytes of a run's last weights, by its name."""
    return lambda name: (runs_folder() / name / "last" / "model.safetensors").read_bytes()
