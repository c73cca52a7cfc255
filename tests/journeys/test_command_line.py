"""Ctrl-C as a user presses it: real commands, stopped in the middle, say how to go on and then go on."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from myna.cli import app as command_line
from myna.errors import UserError

TINY = """
name = "tiny"
[data]
limit = 40
[model]
glove = "none"
learned_size = 8
encoder_size = 8
decoder_size = 16
token_size = 8
[training]
epochs = 100000
"""
STUDY = """
name = "pair"
title = "A pair"
splits = ["dev"]
beam_sizes = [1]
searches = ["plain"]
[[runs]]
config = "tiny.toml"
label = "short"
set = ["training.epochs=1"]
[[runs]]
config = "tiny.toml"
label = "long"
set = ["label_smoothing=0.1"]
"""
SEARCH = """
name = "search"
title = "A search"
config = "tiny.toml"
[space]
"training.epochs" = [1, 100000]
"""
GUARD = 600
"""Seconds after which a test that hangs is given up."""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts `myna` in a folder with configs, on the generated sample."""
    for name, text in (("tiny", TINY), ("pair", STUDY), ("search", SEARCH)):
        (tmp_path / f"{name}.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in ("MYNA_DATA", "MYNA_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "myna", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return call


def interrupt_after(process: subprocess.Popen[str], line_end: str) -> str:
    """Wait for a line that holds a text, press Ctrl-C, and return what was printed after it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line_end in line:
            break
    else:
        pytest.fail(f"ended without {line_end!r}: {seen}")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=GUARD)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    return output


@pytest.mark.slow
def test_a_stopped_training_goes_on_with_the_command_that_it_names(start: Start, tmp_path: Path) -> None:
    output = interrupt_after(start("math", "train", "tiny.toml"), "tiny epoch 1/")
    said = output.strip().splitlines()[-1]
    assert said == "myna: stopped; saved up to the last checkpoint. Go on with: myna math train tiny.toml --resume"
    assert (tmp_path / "runs" / "tiny" / "last" / "state.pt").exists()
    again = shlex.split(said.partition(": myna ")[2])
    # As long as it was trained already, so that it ends at once.
    process = start(*again, "--set", "training.epochs=1")
    output, _ = process.communicate(timeout=GUARD)
    assert process.returncode == 0, output
    assert "best exact_match" in output
    assert (tmp_path / "runs" / "tiny" / "summary.json").exists()


@pytest.mark.slow
def test_a_stopped_study_stops_its_trainings_and_reports_on_what_is_finished(start: Start, tmp_path: Path) -> None:
    output = interrupt_after(start("study", "run", "pair.toml", "--workers", "2"), "epochs-1-seed0: trained")
    assert output.strip().endswith("Go on with: myna study run pair.toml --workers 2")
    assert not (tmp_path / "runs" / "tiny-label_smoothing-0.1-seed0" / "summary.json").exists()
    process = start("study", "run", "pair.toml", "--only-finished")
    output, _ = process.communicate(timeout=GUARD)
    assert process.returncode == 0, output
    assert (tmp_path / "runs" / "studies" / "pair" / "report.html").exists()


@pytest.mark.slow
def test_a_stopped_search_says_that_the_same_command_goes_on(start: Start) -> None:
    output = interrupt_after(start("study", "grid", "search.toml", "--workers", "2"), " finished: best")
    assert output.strip().endswith("Go on with: myna study grid search.toml --workers 2")


def test_a_command_that_keeps_nothing_is_begun_again(start: Start, tmp_path: Path) -> None:
    pipe = tmp_path / "predictions.json"
    os.mkfifo(pipe)
    process = start("math", "score", "predictions.json")
    with pipe.open("w"):  # opens once the command reads
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=GUARD)
    assert process.returncode == 130
    assert output.split("\n")[-2] == (
        "myna: stopped; nothing is left half done. Begin again with: myna math score predictions.json"
    )
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "arguments",
    [
        ["birds", "eval", "x"],
        ["birds", "explain", "x"],
        ["birds", "ship", "x", "y"],
        ["math", "eval", "x"],
        ["math", "explain", "x"],
        ["math", "ship", "x", "y"],
        ["report", "compare", "x", "y"],
        ["export", "x"],
    ],
    ids=" ".join,
)
def test_every_verb_ends_with_status_130_and_a_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    for name in ("myna.runs.find", "myna.birds.explanation.find_models", "myna.report.comparison.find"):
        monkeypatch.setattr(name, interrupt)
    monkeypatch.setattr(sys, "argv", ["myna", *arguments])
    assert command_line.run() == 130
    told = capsys.readouterr().err.strip()
    assert told == f"myna: stopped; nothing is left half done. Begin again with: {shlex.join(['myna', *arguments])}"


def test_a_mistake_is_no_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(name: str) -> None:
        raise UserError(f"{name}: not there")

    monkeypatch.setattr("myna.runs.find", refuse)
    monkeypatch.setattr(sys, "argv", ["myna", "math", "eval", "x"])
    assert command_line.run() == 2
    assert capsys.readouterr().err == "myna: x: not there\n"
