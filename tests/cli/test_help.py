"""The help of every command, and what completes in a shell."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from myna.cli.app import app
from myna.cli.options import complete_models, complete_results

COLUMNS, LINES = 80, 40
ROOT = Path(__file__).parents[2]


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command and group below one."""
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


PATHS = list(walk(typer.main.get_command(app)))


def test_the_tree_holds_the_verbs() -> None:
    assert {(), ("birds", "train"), ("math", "eval"), ("study", "grid"), ("doctor",), ("export",)} <= set(PATHS)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_fits_on_a_screen_and_ends_with_an_example(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="myna", terminal_width=COLUMNS)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    (example,) = (index for index, line in enumerate(lines) if line.startswith("  Example: myna"))
    assert not lines[example + 1 : example + 2] or not lines[example + 1], "an example is one line, to be copied"
    summaries = result.output.partition("\nCommands:")[2].splitlines()
    assert not any(line.endswith("...") for line in summaries), "a summary is cut off"
    missing = [name for name in re.findall(r"configs/\S+\.toml", result.output) if not (ROOT / name).exists()]
    assert not missing
    words = lines[example].split()[2:]
    assert tuple(words[: len(path)]) == path or len(path) == 0


def test_neither_help_nor_completion_loads_what_is_heavy() -> None:
    code = (
        "import sys; import myna.cli.app\n"
        "heavy = {'torch', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from myna.cli.options import complete_models, complete_results\n"
        "complete_models(''), complete_results('')\n"
        "heavy = {'torch', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_names_of_runs_models_and_studies_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYNA_RUNS", "runs")
    for name in ("runs/attn-1/config.toml", "runs/studies/attn/results.json", "models/birds/bin/config.toml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert complete_models("") == ["attn-1", "models/birds/bin"]
    assert complete_models("models/b") == ["models/birds/bin"]
    assert complete_results("at") == ["attn", "attn-1"]
    assert complete_results("x") == []


def test_the_shell_is_told_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "attn-1").mkdir(parents=True)
    (tmp_path / "runs" / "attn-1" / "config.toml").touch()
    asked = {"_MYNA_COMPLETE": "complete_bash", "COMP_WORDS": "myna math eval at", "COMP_CWORD": "3"}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    told = subprocess.run([sys.executable, "-m", "myna"], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["attn-1"]
