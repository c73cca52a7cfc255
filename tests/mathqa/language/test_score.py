"""The course's scores, and where ours differ on purpose: NaN is wrong, and nothing hangs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from myna.mathqa.language.execute import Failure
from myna.mathqa.language.score import judge, match_tokens, summarise

PROBLEM = "of 50 apples 20 % are red"
REFERENCE = "multiply(n0,n1)|divide(#0,const_100)|"


@pytest.mark.parametrize(
    ("predicted", "exact", "raw_exact", "executes"),
    [
        (REFERENCE, True, True, True),
        (REFERENCE.removesuffix("|"), True, False, True),
        (REFERENCE + "|", False, False, True),  # one bar is dropped, not two
        ("multiply(n1,n0)|divide(#0,const_100)|", False, False, True),
        ("multiply(n0, n1)|divide(#0,const_100)|", False, False, True),
        ("multiply(n0,n1,n1)|divide(#0,const_100)x|", False, False, True),
        ("multiply(n0,n1)|divide(#0,n0)|", False, False, False),
        ("multiply(n0,n1)|divide", False, False, False),
        ("", False, False, False),
    ],
)
def test_verdicts(predicted: str, exact: bool, raw_exact: bool, executes: bool) -> None:
    verdict = judge(PROBLEM, 10, REFERENCE, predicted)
    assert (verdict.exact, verdict.raw_exact, verdict.executes) == (exact, raw_exact, executes)


def test_an_empty_prediction_equals_nothing() -> None:
    verdict = judge(PROBLEM, 10, "", "")
    assert not verdict.exact
    assert not verdict.raw_exact
    assert verdict.token_match == 0


@pytest.mark.parametrize(
    ("answer", "executes"),
    [(50, True), (49.1, True), (51.02, True), (49.0, False), (51.1, False), (-50, False), (0, False), (5, False)],
)
def test_two_percent_of_the_answer(answer: float, executes: bool) -> None:
    assert judge(PROBLEM, answer, "", "min(n0,n0)|").executes is executes


def test_the_tolerance_includes_its_end() -> None:
    assert judge(PROBLEM, 100, "", "add(const_100,const_2)|").executes


def test_an_answer_of_zero_is_wrong_even_if_the_value_is_zero() -> None:
    verdict = judge(PROBLEM, 0, "subtract(n0,n0)|", "subtract(n0,n0)|")
    assert verdict.value == 0
    assert not verdict.executes
    assert verdict.failure is None


@pytest.mark.parametrize("predicted", ["add(n0,const_nan)|", "subtract(const_inf,const_inf)|"])
def test_nan_is_wrong(predicted: str) -> None:
    verdict = judge(PROBLEM, 10, REFERENCE, predicted)
    assert not verdict.executes
    assert verdict.failure is Failure.NOT_A_NUMBER


@pytest.mark.parametrize("answer", [math.nan, math.inf])
def test_no_value_is_close_to_an_answer_that_is_no_number(answer: float) -> None:
    assert not judge(PROBLEM, answer, REFERENCE, REFERENCE).executes


def test_whole_numbers_beyond_floats_are_compared_exactly() -> None:
    predicted = "factorial(const_200)|"
    assert judge(PROBLEM, math.factorial(200), "", predicted).executes
    assert not judge(PROBLEM, 10.0, "", predicted).executes
    assert not judge(PROBLEM, 10, "", predicted).executes


def test_a_verdict_says_why_and_what_was_ignored() -> None:
    failed = judge(PROBLEM, 10, REFERENCE, "divide(n0,n2)|")
    assert failed.failure is Failure.NO_SUCH_NUMBER
    assert failed.message == "step 0, divide(n0,n2): no such number in the problem: n2 of 2"
    assert failed.value is None
    lenient = judge(PROBLEM, 2.5, REFERENCE, "divide(n0,n1,n1)|")
    assert (lenient.executes, lenient.value) == (True, 2.5)
    assert lenient.ignored == ("step 0: argument 'n1' beyond the 2 of divide",)


@pytest.mark.parametrize(
    ("reference", "predicted", "expected"),
    [
        ("add(n0,n1)|", "add(n0,n1)", 1),
        ("add(n0,n1)|", "add(n1,n1)|", 2 / 3),
        ("add(n0,n1)|", "add(n0,n1)|sqrt(#0)|", 3 / 5),
        ("add(n0,n1)|sqrt(#0)|", "add(n0,n1)|", 3 / 5),
        ("add(n0,n1)|", "sqrt(n0)|add(n0,n1)|", 1 / 5),  # n0 stands second in both
        ("add(n0,n1)|", "add(n0,n1)|divide", 3 / 4),
        ("add(n0,n1)|", "", 0),
        ("", "", 0),
    ],
)
def test_token_match(reference: str, predicted: str, expected: float) -> None:
    assert match_tokens(reference, predicted) == pytest.approx(expected)


def test_summary() -> None:
    predicted = [REFERENCE, REFERENCE[:-1], "add(n0,n9)|", "add(n0,n9)|", "sqrt()|"]
    scores = summarise([judge(PROBLEM, 10, REFERENCE, text) for text in predicted])
    assert scores.n == 5
    assert (scores.exact_match, scores.raw_exact_match, scores.execution_accuracy) == (0.4, 0.2, 0.4)
    assert scores.token_match == pytest.approx((1 + 1 + 1 / 6 + 1 / 6 + 0) / 5)
    assert scores.failures == {"no such number in the problem": 2, "missing argument": 1}


def test_summary_of_nothing() -> None:
    scores = summarise([])
    assert (scores.n, scores.exact_match, scores.token_match, scores.failures) == (0, 0, 0, {})


@pytest.mark.data
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_references_score_in_full(data_dir: Path, split: str) -> None:
    items = json.loads((data_dir / "mathqa" / f"{split}.json").read_text())
    verdicts = [judge(i["Problem"], i["answer"], i["linear_formula"], i["linear_formula"]) for i in items]
    scores = summarise(verdicts)
    assert (scores.exact_match, scores.raw_exact_match, scores.execution_accuracy) == (1, 1, 1)
    assert scores.token_match == 1
    assert scores.failures == {}


@pytest.mark.usefixtures("_alarm")
def test_a_file_of_endless_programs_is_scored_at_once() -> None:
    programs = ["factorial(n0)|factorial(#0)|", "power(n0,n0)|power(#0,#0)|floor(#1)|power(#2,#2)|", "factorial(n1)|"]
    verdicts = [judge("12 apples and 1,000,000,000 pears", 3, REFERENCE, text) for text in programs * 300]
    assert {verdict.failure for verdict in verdicts} == {Failure.TOO_LARGE}
