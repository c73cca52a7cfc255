"""Numbers and steps as people read them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.mathqa.display import as_json_number, show_number, tell_steps
from myna.mathqa.language.program import parse


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (8.0, "8"),
        (8, "8"),
        (7.9999999999, "8"),
        (1 / 3, "0.333333"),
        (200 / 3, "66.666667"),
        (1234567.891, "1234567.891"),
        (123456789012.0, "123456789012"),
        (0.00012345678, "0.000123457"),
        (0.99999999, "1"),
        (-0.0, "0"),
        (-2.50, "-2.5"),
        (1.5e20, "1.5e+20"),
        (10**14, "100000000000000"),
        (math.factorial(25), "1.55112e+25"),
        (10**4000, "1e+4000"),
        (math.inf, "infinite"),
        (math.nan, "not a number"),
        (2j, "no real number"),
    ],
)
def test_a_number_is_shown_plainly(value: complex, shown: str) -> None:
    assert show_number(value) == shown


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_shown_is_within_a_millionth(value: float) -> None:
    assert float(show_number(value)) == pytest.approx(value, rel=1e-5, abs=0)


@pytest.mark.parametrize("value", [10**400, math.inf, math.nan, 2j, None])
def test_what_json_cannot_hold_is_null(value: complex | None) -> None:
    assert as_json_number(value) is None


def test_steps_are_told_in_words_and_numbers() -> None:
    steps = tell_steps(parse("add(n0,n1)|subtract(#0,const_2)|circle_area(#1)|multiply(#2,const_pi)|"), [3.0, 5.0])
    assert [(step.name, step.sentence, step.result_text) for step in steps] == [
        ("#0", "add 3 and 5", "8"),
        ("#1", "subtract 2 from 8", "6"),
        ("#2", "find the area of a circle with radius 6", "113.097336"),
        ("#3", "multiply 113.097336 by π", "355.305758"),
    ]
    assert (steps[1].operation, steps[1].arguments, steps[1].values) == ("subtract", ["#0", "const_2"], [8.0, 2.0])


def test_steps_that_give_no_real_number_are_told() -> None:
    steps = tell_steps(parse("negate(n0)|sqrt(#0)|power(#1,const_2)|"), [4.0])
    assert [step.result_text for step in steps] == ["-4", "no real number", "no real number"]
    assert steps[1].result is None
    assert steps[2].values == [None, 2.0]
    json.dumps([step.model_dump() for step in steps], allow_nan=False)


def test_a_step_that_cannot_be_run_ends_the_tale() -> None:
    steps = tell_steps(parse("add(n0,n0)|divide(#0,const_0)|add(#1,n0)|"), [4.0])
    assert [step.sentence for step in steps] == ["add 4 and 4"]
