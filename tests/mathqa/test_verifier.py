"""The verifier's features by hand, its fit against autograd, and what its file may hold."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from myna.errors import UserError
from myna.mathqa.baselines import Neighbour
from myna.mathqa.problems import mask
from myna.mathqa.verifier import FEATURES, FILE, Candidate, Verifier, describe, fit

WORDS = mask("ravi has 30 apples and 4 pears . how many are there ?").split()
NUMBERS = [30.0, 4.0]
NEAREST = Neighbour("n0 apples and n1 pears . how many are there ?", "add(n0,n1)|", 0.8)
OTHER = Neighbour("what is n0 % of n1 in n2 ?", "divide(n0,n1)|", 0.7)
ADD = Candidate(("add", "n0", "n1"), 34.0, math.log(0.5), NEAREST)
DIVIDE = Candidate(("divide", "n0", "n1"), 7.5, None, OTHER)
TWICE = Candidate(("add", "n0", "const_4"), 34.0, math.log(0.2), None)


def told(*candidates: Candidate, numbers: list[float] = NUMBERS, words: list[str] = WORDS) -> list[dict[str, float]]:
    """The features of candidates by their names."""
    return [dict(zip(FEATURES, row, strict=True)) for row in describe(words, numbers, candidates).tolist()]


def test_what_the_beam_says() -> None:
    add, divide, twice = told(ADD, DIVIDE, TWICE)
    assert [each["in the beam"] for each in (add, divide, twice)] == [1, 0, 1]
    assert [each["likeliest of the beam"] for each in (add, divide, twice)] == [1, 0, 0]
    assert add["log-probability"] == pytest.approx(math.log(0.5))
    assert add["log-probability of a token"] == pytest.approx(math.log(0.5) / 4)
    assert divide["log-probability"] < twice["log-probability"]


def test_what_the_neighbours_say() -> None:
    add, divide, twice = told(ADD, DIVIDE, TWICE)
    assert [each["of a neighbour"] for each in (add, divide, twice)] == [1, 1, 0]
    assert [each["of the nearest"] for each in (add, divide, twice)] == [1, 0, 0]
    assert (add["likeness"], divide["likeness"], twice["likeness"]) == (0.8, 0.7, 0)
    assert divide["likeness behind the nearest"] == pytest.approx(-0.1)
    assert divide["numbers more or fewer than in the neighbour"] == 1
    # n0, n1 and ? of the twelve last words here, and of nine there
    assert divide["question shared with the neighbour"] == pytest.approx(3 / 18)
    assert add["of the same text"] == 0
    assert told(ADD, words=NEAREST.text.split())[0]["of the same text"] == 1


def test_candidates_of_one_value_speak_for_each_other() -> None:
    add, divide, twice = told(ADD, DIVIDE, TWICE)
    assert add["probability for the value"] == twice["probability for the value"] == pytest.approx(0.7)
    assert add["neighbours for the value"] == twice["neighbours for the value"] == 1
    assert divide["neighbours for the value"] == pytest.approx(math.exp(-0.1 / 0.05))
    assert divide["probability for the value"] == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (34.0, {"whole", "whole where it is asked how many", "two decimals", "positive"}),
        (30.0, {"whole", "whole where it is asked how many", "two decimals", "positive", "one of the numbers"}),
        (0.25, {"two decimals", "positive", "between 0 and 1"}),
        (-1 / 3, set()),
        (1e17, {"positive"}),
    ],
)
def test_what_the_value_says(value: float, expected: set[str]) -> None:
    [found] = told(Candidate(("add", "n0", "n1"), value, -1.0, None))
    told_of_value = FEATURES[FEATURES.index("whole") : FEATURES.index("magnitude")]
    assert {name for name in told_of_value if found[name]} == expected
    assert found["magnitude"] == pytest.approx(math.log10(min(abs(value), 1e9)))
    assert found["magnitude beside the largest number"] == pytest.approx(found["magnitude"] - math.log10(30))


def test_what_the_program_says() -> None:
    [found] = told(Candidate(("multiply", "n0", "const_3", "divide", "#0", "const_100"), 0.9, -1.0, None))
    assert (found["numbers left out"], found["steps"], found["constants"]) == (1, 2, 2)


def test_no_value_is_out_of_range_and_no_candidate_is_no_row() -> None:
    features = describe(WORDS, [0.0], [Candidate(("add", "n0", "n0"), value, -500.0, None) for value in (0.0, -1e299)])
    assert np.isfinite(features).all()
    assert describe(WORDS, [], []).shape == (0, len(FEATURES))


def weigh(**weights: float) -> Verifier:
    return Verifier(n=1, weights=dict.fromkeys(FEATURES, 0.0) | weights)


def test_shares_by_hand() -> None:
    shares = weigh(whole=2.0).shares(describe(WORDS, NUMBERS, [ADD, DIVIDE]))
    assert shares.tolist() == pytest.approx([math.exp(2) / (1 + math.exp(2)), 1 / (1 + math.exp(2))])
    assert weigh(magnitude=1e6).shares(describe(WORDS, NUMBERS, [ADD, DIVIDE])).tolist() == [1, 0]
    assert weigh().shares(describe(WORDS, NUMBERS, [])).shape == (0,)


def draw(n: int, truth: Any) -> list[tuple[Any, list[bool]]]:
    """Problems of two to six candidates each, of which one is right as likely as the truth says."""
    rng = np.random.default_rng(0)
    problems = []
    for _ in range(n):
        features = rng.normal(size=(int(rng.integers(2, 7)), len(FEATURES)))
        odds = np.exp(features @ truth)
        right = rng.choice(len(features), p=odds / odds.sum())
        problems.append((features, [i == right for i in range(len(features))]))
    return problems


def test_the_fit_is_where_autograd_finds_no_slope() -> None:
    truth = np.zeros(len(FEATURES))
    truth[:3] = 1.0, -2.0, 0.5
    problems = draw(2000, truth)
    verifier = fit(problems)
    assert verifier.n == 2000
    found = np.array(list(verifier.weights.values()))
    assert found[:3] == pytest.approx(truth[:3], abs=0.2)
    assert np.abs(found[3:]).max() < 0.2
    scales = torch.tensor(np.concatenate([features for features, _ in problems]).std(0))
    weights = (torch.tensor(found) * scales).requires_grad_()
    loss = 10.0 * (weights**2).sum()
    for features, right in problems:
        heights = (torch.tensor(features) / scales) @ weights
        loss = loss - (heights[torch.tensor(right)].logsumexp(0) - heights.logsumexp(0))
    loss.backward()
    assert weights.grad is not None
    assert weights.grad.abs().max() < 0.01


def test_what_teaches_nothing_changes_nothing() -> None:
    problems = draw(50, np.ones(len(FEATURES)))
    features = problems[0][0]
    silent = [(features, [False] * len(features)), (features, [True] * len(features)), (features[:0], [])]
    assert fit([*problems, *silent]) == fit(problems)
    constant = [(np.column_stack([np.ones(len(f)), f[:, 1:]]), right) for f, right in problems]
    assert fit(constant).weights[FEATURES[0]] == 0
    assert fit(silent) == weigh().model_copy(update={"n": 0})


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Verifier.load(tmp_path) is None
    verifier = fit(draw(50, np.ones(len(FEATURES))))
    verifier.save(tmp_path)
    assert Verifier.load(tmp_path) == verifier


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "verifier.json"),
        ('{"n": 1}', r"verifier\.json: weights: Field required"),
        (json.dumps({"n": 1, "weights": {"whole": 1.0}}), r"verifier\.json: weights: expected those of in the beam, "),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=reason):
        Verifier.load(tmp_path)
