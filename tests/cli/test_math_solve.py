"""`myna math solve` and `myna math calibrate`: where problems come from, what is printed, and mistakes in one line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from myna.cli.app import run
from myna.config import MathConfig, check
from myna.engine.checkpoint import WEIGHTS, save_weights
from myna.mathqa.certainty import FILE
from myna.mathqa.solution import Candidate, Nearest, Number, Solution, Step
from myna.mathqa.solver import Solver
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathTask

Call = Callable[..., int]
SIZES = {"glove": "none", "learned_size": 8, "encoder_size": 8, "decoder_size": 16, "token_size": 8}
PROGRAM = "add(n0,n1)|subtract(n2,n3)|divide(const_1000,#1)|multiply(#0,#2)|floor(#3)|add(#4,const_1)|"
SOLUTION = Solution(
    problem="[bold]3 + 4 of |x|?",
    model="stand-in",
    answer=8,
    answer_text="8",
    message="",
    program=PROGRAM,
    numbers=[Number(name="n0", value=3), Number(name="n1", value=0.125)],
    steps=[
        Step(
            name="#0",
            operation="add",
            arguments=["n0", "n1"],
            values=[3, 4],
            sentence="add 3 and 4",
            result=7,
            result_text="7",
        )
    ],
    certainty=0.5,
    certainty_text="Who knows.",
    candidates=[
        Candidate(program=PROGRAM, probability=0.34567, answer=8, answer_text="8"),
        Candidate(program="sqrt(n0)|", probability=0.00001, answer=1.7320508, answer_text="1.732051"),
    ],
    nearest=Nearest(text="n0 [of] | n1 |", program="sqrt(n0)|", likeness=0.75, answer=1.7320508, agrees=False),
    notes=["A long note, which goes on and on and on until it cannot be printed within one line of eighty letters."],
    attention=None,
)


class StandIn:
    """Gives one solution to every problem, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def solve(self, text: str, *, beam_size: int, n_best: int) -> Solution:
        self.asked.append((text, beam_size, n_best))
        return SOLUTION


@pytest.fixture
def solver(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    solver = StandIn()
    monkeypatch.setattr(Solver, "load", lambda model=None, data=None: solver)
    return solver


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    def run_with(*arguments: object, stdin: str = "") -> int:
        monkeypatch.setattr(sys, "argv", ["myna", "math", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setenv("COLUMNS", "80")
        return run()

    return run_with


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_a_closed_standard_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch, solver: StandIn, capsys: Any, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["myna", "math", "solve", *arguments])
    monkeypatch.setattr(sys, "stdin", None)
    assert run() == 2
    assert capsys.readouterr().err == (
        "myna: no problem: standard input is closed; give one as an argument, or a --file\n"
    )


def test_the_answer_comes_first_and_then_what_it_rests_on(call: Call, solver: StandIn, capsys: Any) -> None:
    assert call("solve", "three of them", "--beam", 3, "--n-best", 2) == 0
    assert solver.asked == [("three of them", 3, 2)]
    expected = """\
8
Who knows.
Note: A long note, which goes on and on and on until it cannot be printed within
      one line of eighty letters.

Program
  add(n0,n1)|subtract(n2,n3)|divide(const_1000,#1)|multiply(#0,#2)|
  floor(#3)|add(#4,const_1)|
  n0 = 3, n1 = 0.125

Steps
  #0  add 3 and 4: 7

Programs, best first, and what they give
   34.6%  8           add(n0,n1)|subtract(n2,n3)|divide(const_1000,#1)|
                      multiply(#0,#2)|floor(#3)|add(#4,const_1)|
   <0.1%  1.732051    sqrt(n0)|

Nearest training problem (likeness 0.75 of 1)
  n0 [of] | n1 |
  sqrt(n0)|
  which gives 1.732051

model stand-in
"""
    assert capsys.readouterr().out == expected


def test_no_answer_is_said_and_why(call: Call, solver: StandIn, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = {"answer": None, "answer_text": "", "message": "Why [not].", "steps": [], "candidates": [], "nearest": None}
    unsolved = SOLUTION.model_copy(update={**empty, "notes": ["Write digits."]})
    monkeypatch.setattr(solver, "solve", lambda text, **options: unsolved)
    assert call("solve", "") == 0
    assert capsys.readouterr().out == "No answer\nWhy [not].\nNote: Write digits.\n\nmodel stand-in\n"


def test_a_nearest_problem_that_reads_the_same_is_called_so(
    call: Call, solver: StandIn, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = SOLUTION.nearest.model_copy(update={"likeness": 1.0, "agrees": True})  # type: ignore[union-attr]
    monkeypatch.setattr(solver, "solve", lambda text, **options: SOLUTION.model_copy(update={"nearest": same}))
    assert call("solve", "a b") == 0
    out = capsys.readouterr().out
    assert "Nearest training problem (reads the same)" in out
    assert "which gives this answer, too" in out


def test_one_problem_as_json_is_one_object(call: Call, solver: StandIn, capsys: Any) -> None:
    assert call("solve", "three of them", "--json") == 0
    assert Solution.model_validate_json(capsys.readouterr().out) == SOLUTION


@pytest.mark.parametrize("source", ["file", "-", "pipe"])
def test_one_problem_a_line(call: Call, solver: StandIn, capsys: Any, tmp_path: Path, source: str) -> None:
    text = "what is [3] + 4 ?\n\n  \nwhat is 5 ?\r\nlast"
    file = tmp_path / "problems.txt"
    file.write_text(text)
    arguments = {"file": ("--file", file), "-": ("-",), "pipe": ()}[source]
    assert call("solve", *arguments, stdin=text) == 0
    assert [asked for asked, *_ in solver.asked] == ["what is [3] + 4 ?", "what is 5 ?", "last"]
    out = capsys.readouterr().out
    assert out.startswith("what is [3] + 4 ?\n8\nWho knows.\n")
    assert "\nmodel stand-in\n\nwhat is 5 ?\n8\n" in out
    assert call("solve", *arguments, "--json", stdin=text) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["answer"] for line in lines] == [8, 8, 8]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--file", "nowhere.txt"), "nowhere.txt: no such file"),
        (("--file", "empty.txt"), "empty.txt: no problem in it; expected one a line"),
        (("--file", "latin.txt"), "latin.txt: byte 1: not UTF-8 text"),
        (("--file", "."), ".: cannot be read: Is a directory"),
        (("a 3", "--file", "empty.txt"), "give a problem or a --file, not both"),
        (("empty.txt",), "empty.txt: this is a file; to solve the problems in it: --file empty.txt"),
        (("-",), "standard input: no problem in it; expected one a line"),
        (("a 3", "--model", "nowhere"), "nowhere: neither a folder nor a run"),
        (("a 3", "--data", "nowhere"), "--data: nowhere: no such folder"),
        (("a 3", "--beam", "0"), "Invalid value for '--beam'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    call: Call, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes(b"3\xe9 4")
    assert call("solve", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"myna: {expected}")
    assert error.count("\n") == 1


def test_input_that_is_no_text_is_one_line(call: Call, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"3\xe9 4"), encoding="utf-8")
    monkeypatch.setattr("io.StringIO", lambda text: stdin)
    assert call("solve", "-") == 2
    assert capsys.readouterr().err == "myna: standard input: byte 1: not UTF-8 text\n"


@pytest.mark.slow
def test_a_model_is_calibrated_and_then_knows_how_sure_it_is(
    call: Call, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MYNA_DATA", raising=False)
    splits = generate_splits()
    task = MathTask(check(MathConfig, {"model": SIZES}, "test"), splits.train[:30], splits.dev[:5])
    save_weights(tmp_path / WEIGHTS, task.model.state_dict())
    task.save(tmp_path)
    problem = "what is 20 percent of 500 ?"
    assert call("solve", problem, "--model", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["certainty"] is None
    assert call("calibrate", tmp_path) == 0
    out = capsys.readouterr().out
    assert "fitted on 150 problems of dev" in out
    assert "novel, alone" in out
    assert json.loads((tmp_path / FILE).read_text())["n"] == 150
    assert call("solve", problem, "--model", tmp_path, "--json") == 0
    # It has learned nothing, and knows that.
    assert json.loads(capsys.readouterr().out)["certainty"] < 0.2
