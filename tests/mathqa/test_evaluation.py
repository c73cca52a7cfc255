"""Scores by nearness, intervals, and the course's prediction files."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from myna.errors import UserError
from myna.mathqa import evaluation
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.evaluation import bootstrap_interval, evaluate, group, judge_items, read_predictions, score, write_back
from myna.mathqa.problems import Problem

KEYS = {"n", "exact_match", "raw_exact_match", "execution_accuracy", "token_match"}
TEXTS = [
    "what is 5 % of 60 ?",  # seen
    "what is 7 % of 10 of all ?",  # near
    "how many apples are left of 12 after 4 are eaten ?",  # far
    "what is 9 % of 100 ?",  # seen
]


@pytest.fixture
def index() -> NeighbourIndex:
    return NeighbourIndex([Problem("what is 1 % of 2 ?", "multiply(n0,n1)|divide(#0,const_100)|", 0.02)])


def make_item(problem: str, predicted: str, /, **fields: Any) -> dict[str, Any]:
    item = {"Problem": problem, "linear_formula": "add(n0,n1)|", "answer": 3, "predicted": predicted}
    return {**item, **fields}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_groups(index: NeighbourIndex) -> None:
    assert group(TEXTS, index) == {"seen": [0, 3], "novel": [1, 2], "far": [2]}
    assert group([], index) == {"seen": [], "novel": [], "far": []}


def test_scores_by_group_have_the_promised_keys(index: NeighbourIndex) -> None:
    predicted = ["add(n0,n1)|", "add(n0,n1)", "add(n0,n9)|", "foo(n0)|"]
    items = [make_item(text, program) for text, program in zip(TEXTS, predicted, strict=True)]
    scores = score(judge_items(items), TEXTS, index)
    assert set(scores) == {*KEYS, "seen", "novel", "far", "failures"}
    assert {frozenset(scores[name]) for name in ("seen", "novel", "far")} == {frozenset(KEYS)}
    assert (scores["n"], scores["seen"]["n"], scores["novel"]["n"], scores["far"]["n"]) == (4, 2, 2, 1)
    assert (scores["exact_match"], scores["seen"]["exact_match"], scores["novel"]["exact_match"]) == (0.5, 0.5, 0.5)
    assert scores["far"]["token_match"] == pytest.approx(2 / 3)
    assert scores["failures"] == {"no such number in the problem": 1, "unknown operation": 1}
    json.dumps(scores, allow_nan=False)


def test_scores_without_training_problems_have_no_groups() -> None:
    scores = score(judge_items([make_item("1 and 2", "add(n0,n1)|")]), ["1 and 2"], None)
    assert (scores["seen"], scores["novel"], scores["far"]) == (None, None, None)
    assert scores["execution_accuracy"] == 1


def test_evaluate_adds_intervals(index: NeighbourIndex) -> None:
    problems = [Problem("1 and 2", "add(n0,n1)|", 3)] * 10
    scores = evaluate(problems, ["add(n0,n1)|"] * 6 + ["add(n1,n0)|"] * 2 + [""] * 2, index)
    assert (scores["exact_match"], scores["execution_accuracy"]) == (0.6, 0.8)
    assert set(scores["intervals"]) == {"exact_match", "execution_accuracy"}
    for name, (low, high) in scores["intervals"].items():
        assert 0 < low < scores[name] < high <= 1


@pytest.mark.parametrize("problem", [Problem("1", None, 1.0), Problem("1", "sqrt(n0)|", None)])
def test_evaluate_needs_references_and_answers(problem: Problem, index: NeighbourIndex) -> None:
    with pytest.raises(ValueError, match="no linear_formula and answer"):
        evaluate([problem], ["sqrt(n0)|"], index)


def test_interval_is_that_of_resampling() -> None:
    outcomes = [True] * 30 + [False] * 20
    rng = np.random.default_rng(1)
    resampled = rng.choice(np.array(outcomes, dtype=float), size=(20_000, 50)).mean(axis=1)
    assert bootstrap_interval(outcomes) == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.021)
    # The normal approximation: 0.6 ± 1.96 √(0.6 · 0.4 / 50)
    assert bootstrap_interval(outcomes) == pytest.approx((0.464, 0.736), abs=0.021)


def test_intervals_are_repeatable_and_close_around_what_is_sure() -> None:
    outcomes = [True, False] * 500
    assert bootstrap_interval(outcomes) == bootstrap_interval(outcomes)
    low, high = bootstrap_interval(outcomes)
    assert 0.46 < low < 0.48
    assert 0.52 < high < 0.54
    assert bootstrap_interval([True] * 9) == (1, 1)
    assert bootstrap_interval([False] * 9) == (0, 0)
    assert bootstrap_interval([]) == (0, 0)


def test_predictions_are_read_with_all_their_fields(tmp_path: Path) -> None:
    items = [make_item("1 and 2", "add(n0,n1)|", note="kept"), make_item("3", "", answer=-0.5)]
    assert read_predictions(write(tmp_path / "p.json", items)) == items


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({}, "expected a list of problems, not dict"),
        (["text"], "item 0: expected an object with a text under Problem"),
        ([make_item("1", ""), {"predicted": ""}], "item 1: expected an object with a text under Problem"),
        ([make_item("1", "", Problem=5)], "item 0: expected an object with a text under Problem"),
        ([{"Problem": "1", "linear_formula": "", "answer": 1}], "item 0: predicted: missing; expected a text"),
        ([{"Problem": "1", "predicted": "", "answer": 1}], "item 0: linear_formula: missing; expected a text"),
        ([{"Problem": "1", "predicted": "", "linear_formula": ""}], "item 0: answer: missing; expected a number"),
        ([make_item("1", "", predicted=None)], "item 0: predicted: expected a text, not None"),
        ([make_item("1", "", linear_formula=["add"])], "item 0: linear_formula: expected a text, not ['add']"),
        (
            [make_item("1", "", linear_formula=["a" * 99])],
            f"item 0: linear_formula: expected a text, not ['{'a' * 75}...",
        ),
        ([make_item("1", "", answer="7")], "item 0: answer: expected a number, not '7'"),
        ([make_item("1", "", answer=True)], "item 0: answer: expected a number, not True"),
        ([make_item("1", "", answer=math.nan)], "item 0: answer: expected a number, not nan"),
        ([make_item("1", "", answer=math.inf)], "item 0: answer: expected a number, not inf"),
        ([make_item("1", "", answer=None)], "item 0: answer: expected a number, not None"),
    ],
)
def test_broken_files_give_one_line_that_names_the_place(tmp_path: Path, items: Any, message: str) -> None:
    path = write(tmp_path / "p.json", items)
    with pytest.raises(UserError) as caught:
        read_predictions(path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("text", ["", "[", '[{"Problem": "1",}]', "[" * 100_000, f"[{'9' * 5000}]"])
def test_what_is_not_json_is_the_users_mistake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"p\.json: .*not JSON"):
        read_predictions(path)


def test_write_back_adds_the_answer_and_keeps_the_rest(tmp_path: Path) -> None:
    items = [
        make_item("1 and 2", "add(n0,n1)|", note={"é": [1, None]}, predicted_answer="old"),
        {"extra": 1.5, **make_item("1 and 2", "add(n0,n0)|")},
        make_item("1 and 2", "add(n0,"),
        make_item("1 and 2", "floor(const_3)|"),
        make_item("half a pair: \ud800", "add(n0,n1)|"),
    ]
    path = write(tmp_path / "p.json", items)
    write_back(path, read_predictions(path), judge_items(items))
    written = json.loads(path.read_text(encoding="utf-8"))
    assert [item["predicted_answer"] for item in written] == [3, None, None, 3, None]
    for item, before in zip(written, items, strict=True):
        assert {**before, "predicted_answer": item["predicted_answer"]} == item
        assert [key for key in item if key in before] == list(before)
    write_back(path, read_predictions(path), judge_items(items))
    assert json.loads(path.read_text(encoding="utf-8")) == written


def test_write_back_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [make_item("1 and 2", "add(n0,n1)|")]
    path = write(tmp_path / "p.json", items)
    before = path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((UserError, OSError)):
        write_back(path, items, judge_items(items))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_far_is_under_the_published_cosine() -> None:
    assert evaluation.FAR_COSINE == 0.7
