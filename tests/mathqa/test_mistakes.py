"""Kinds of mistakes, on programs made to have each."""

import pytest

from myna.errors import UserError
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.language.score import judge
from myna.mathqa.mistakes import KINDS, count_mistakes, find_kind
from myna.mathqa.problems import Problem

TEXT = "a has 12 apples , b has 5 and c has 100 . how many ?"  # n0 = 12, n1 = 5, n2 = 100
REFERENCE = "subtract(n0,n1)|multiply(#0,const_2)|"  # 14


@pytest.mark.parametrize(
    ("predicted", "kind"),
    [
        ("subtract(n0,n1)|multiply(#0,const_2)", "exact"),
        ("subtract(n0,n1)|multiply(const_2,#0)|", "right value, other program"),
        ("subtract(n0,n1)|add(#0,#0)|", "right value, other program"),
        ("subtract(n0,n7)|multiply(#0,const_2)|", "does not run"),
        ("", "does not run"),
        ("subtract(n0,n1)|", "too short"),
        ("subtract(n0,n1)|multiply(#0,const_2)|add(#1,n0)|", "too long"),
        ("subtract(n0,n1)|divide(#0,const_2)|", "wrong operation"),
        ("subtract(n1,n0)|multiply(#0,const_2)|", "wrong argument order"),
        ("subtract(n0,n2)|multiply(#0,const_2)|", "wrong number"),
        ("subtract(n0,n1)|multiply(#0,const_3)|", "wrong constant"),
        ("subtract(n0,n1)|multiply(n0,const_2)|", "wrong step referred to"),
    ],
)
def test_each_kind(predicted, kind):
    assert find_kind(REFERENCE, predicted, judge(TEXT, 14.0, REFERENCE, predicted)) == kind


@pytest.mark.parametrize("problem", [Problem("1", None, 1.0), Problem("1", "sqrt", 1.0), Problem("1", "sqrt(n0)|")])
def test_references_and_answers_are_needed(problem):
    with pytest.raises(UserError, match=r"linear_formula|no answer"):
        count_mistakes([problem], ["sqrt(n0)|"], NeighbourIndex([Problem("1", "sqrt(n0)|", 1.0)]))


def test_counts_add_up_and_groups_hold_every_problem():
    problems = [
        Problem(TEXT, REFERENCE, 14.0),
        Problem("how many are 3 and 4 ?", "add(n0,n1)|", 7.0),
        Problem("what is the gcd of 12 and 18 ?", "gcd(n0,n1)|", 6.0),
    ]
    index = NeighbourIndex([problems[1], Problem("what is the lcm of 4 and 6 ?", "lcm(n0,n1)|", 12.0)])
    found = count_mistakes(problems, [REFERENCE, "add(n0,n1)|", "lcm(n0,n1)|"], index)
    assert found["kinds"] == {**dict.fromkeys(KINDS, 0), "exact": 2, "wrong operation": 1}
    for grouping in ("by_steps", "by_cosine"):
        assert sum(row["n"] for row in found[grouping]) == 3
    assert found["by_steps"] == [
        {"name": "1", "n": 2, "exact_match": 0.5, "execution_accuracy": 0.5},
        {"name": "2", "n": 1, "exact_match": 1.0, "execution_accuracy": 1.0},
    ]
    assert {row["name"]: row["exact_match"] for row in found["by_operation"]} == {
        "add": 1.0,
        "gcd": 0.0,
        "multiply": 1.0,
        "subtract": 1.0,
    }
    by_cosine = {row["name"]: row for row in found["by_cosine"]}
    assert by_cosine["1 (seen)"]["n"] == 1
    assert by_cosine["0.7 to 0.8"] == {"name": "0.7 to 0.8", "n": 1, "exact_match": 1.0, "execution_accuracy": 1.0}
