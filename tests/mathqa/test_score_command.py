"""`myna math score`, as it is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from myna.cli.app import app
from myna.errors import UserError

ITEMS = [
    {"Problem": "what is 5 % of 60 ?", "linear_formula": "multiply(n0,n1)|divide(#0,const_100)|", "answer": 3},
    {"Problem": "add 12 apples to 4", "linear_formula": "add(n0,n1)|", "answer": 16},
    {"Problem": "add 12 apples to 4", "linear_formula": "add(n0,n1)", "answer": 16},
]
PREDICTED = ["multiply(n0,n1)|divide(#0,const_100)|", "factorial(n0)|factorial(#0)|", "add(n0,n1,n1)|"]


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps([{**item, "predicted": p} for item, p in zip(ITEMS, PREDICTED, strict=True)]))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose training file has the first problem."""
    folder = tmp_path / "data"
    (folder / "mathqa").mkdir(parents=True)
    train = [{**ITEMS[0], "Problem": "what is 70 % of 1,000 ?"}]
    (folder / "mathqa" / "train.json").write_text(json.dumps(train))
    return folder


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the command to find no data but what it is given."""
    monkeypatch.delenv("MYNA_DATA", raising=False)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["math", "score", *map(str, arguments)], catch_exceptions=True)


def test_json(predictions: Path, data: Path) -> None:
    result = call(predictions, "--json", "--data", data)
    assert result.exit_code == 0, result.output
    scores: dict[str, Any] = json.loads(result.stdout)
    assert list(scores) == [
        "n",
        "exact_match",
        "raw_exact_match",
        "execution_accuracy",
        "token_match",
        "seen",
        "novel",
        "far",
        "failures",
        "baselines",
    ]
    assert {name: score["n"] for name, score in scores["baselines"].items()} == {"look-up": 3, "nearest neighbour": 3}
    assert (scores["n"], scores["seen"]["n"], scores["novel"]["n"], scores["far"]["n"]) == (3, 1, 2, 2)
    assert scores["exact_match"] == pytest.approx(1 / 3)
    assert scores["execution_accuracy"] == pytest.approx(2 / 3)
    assert scores["failures"] == {"too large": 1}
    assert result.stderr == "ignored in item 2: step 0: argument 'n1' beyond the 2 of add\n"


def test_table(predictions: Path, data: Path) -> None:
    result = call(predictions, "--data", data)
    assert result.exit_code == 0, result.output
    for word in ("exact match", "execution", "token match", "all", "seen", "novel", "far", "66.7", "too large"):
        assert word in result.stdout


def test_without_training_problems_there_is_no_split(predictions: Path, tmp_path: Path) -> None:
    result = call(predictions, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["seen"] is None
    assert "no split into seen, novel and far" in result.stderr
    (tmp_path / "empty").mkdir()
    result = call(predictions, "--data", tmp_path / "empty")
    assert result.exit_code == 0, result.output
    assert "train.json not found" in result.stderr
    assert "seen" not in result.stdout


def test_many_remarks_are_cut_short(predictions: Path) -> None:
    items = json.loads(predictions.read_text())
    predictions.write_text(json.dumps(items[2:] * 9))
    lines = call(predictions).stderr.splitlines()
    assert sum(line.startswith("ignored in item") for line in lines) == 5
    assert lines[-1] == "and 4 more were ignored"


def test_write_back(predictions: Path, data: Path) -> None:
    before = json.loads(predictions.read_text())
    assert call(predictions, "--data", data).exit_code == 0
    assert json.loads(predictions.read_text()) == before
    assert call(predictions, "--data", data, "--write-back").exit_code == 0
    after = json.loads(predictions.read_text())
    assert [item.pop("predicted_answer") for item in after] == [3, None, 16]
    assert after == before


@pytest.mark.parametrize("text", ['[{"Problem": "1"}]', "[1", '{"Problem": "1"}'])
def test_a_broken_file_is_left_as_it_is(predictions: Path, text: str) -> None:
    predictions.write_text(text)
    result = call(predictions, "--write-back")
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"{predictions}: ")
    assert predictions.read_text() == text


def test_mistakes_are_one_line_and_status_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "myna", "math", "score", "missing.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "myna: missing.json: no such file\n")


def test_the_module_is_cheap_to_import() -> None:
    code = "import sys, myna.cli.math_score; print([m for m in ('torch', 'sklearn', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
