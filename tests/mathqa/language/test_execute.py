"""Running programs: values, every reason to fail, the checker's leniency, and that nothing hangs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.mathqa.language.execute import (
    MAX_WORDS,
    Failure,
    Value,
    check_answer,
    execute,
    execute_text,
    run_step,
)
from myna.mathqa.language.operations import OPERATIONS
from myna.mathqa.language.program import parse

NUMBERS = [8.0, 3.0, -0.5]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("add(n0,n1)|", 11),
        ("subtract(n0,const_100)|divide(#0,n2)", 184),
        ("multiply(const_0_25,const_2.0)|", 0.5),
        ("circumface(const_1)|divide(#0,const_pi)|", 2),
        ("add(n0,n0)|multiply(n1,n1)|", 9),  # the last step counts, used or not
        ("sqrt(n2)|add(n0,n1)|", 11),  # a complex number on the way is no harm
        ("power(#0,n0)|", None),
        ("divide(const_1e300,const_1e-300)|divide(n0,#0)|", 0),  # nor is an infinite one
        ("floor(n0)|factorial(#0)|choose(#1,const_1)|", 40320),
    ],
)
def test_values(text: str, value: float | None) -> None:
    assert execute_text(text, NUMBERS).value == value


FAILURES: list[tuple[str, Failure, str | None]] = [
    ("", Failure.EMPTY, "step 0: no step"),
    ("|", Failure.EMPTY, "step 0: no step"),
    ("add", Failure.MALFORMED, "step 0: 'add' has no '('"),
    ("add(n0,n1)|div", Failure.MALFORMED, "step 1: 'div' has no '('"),
    ("plus(n0,n1)|", Failure.UNKNOWN_OPERATION, "step 0, plus(n0,n1): unknown operation: 'plus'"),
    ("add (n0,n1)|", Failure.UNKNOWN_OPERATION, None),
    ("add(n0)|", Failure.MISSING_ARGUMENT, "step 0, add(n0): missing argument: add takes 2, not 1"),
    ("sqrt()|", Failure.MISSING_ARGUMENT, None),
    ("add(n0,)|", Failure.MISSING_ARGUMENT, None),
    ("volume_cone(n0)|", Failure.MISSING_ARGUMENT, None),
    ("add(n0,n7)|", Failure.NO_SUCH_NUMBER, "step 0, add(n0,n7): no such number in the problem: n7 of 3"),
    ("add(n0,n1)|add(#0,#1)|", Failure.NO_SUCH_STEP, "step 1, add(#0,#1): step not yet computed: #1"),
    ("sqrt(#4)|", Failure.NO_SUCH_STEP, None),
    ("add(n0,const_x)|", Failure.UNKNOWN_CONSTANT, "step 0, add(n0,const_x): unknown constant: 'const_x'"),
    ("add(n0,const_)|", Failure.UNKNOWN_CONSTANT, None),
    ("add(n0,m1)|", Failure.UNKNOWN_ARGUMENT, "step 0, add(n0,m1): unknown argument: 'm1'"),
    ("add(n0,n)|", Failure.UNKNOWN_ARGUMENT, None),
    ("add(n0,#)|", Failure.UNKNOWN_ARGUMENT, None),
    ("add(n0,5)|", Failure.UNKNOWN_ARGUMENT, None),
    (f"add(n0,n{'9' * 5000})|", Failure.UNKNOWN_ARGUMENT, None),
    (f"add(n0,n{'9' * 50})|", Failure.NO_SUCH_NUMBER, None),
    ("divide(n0,const_0)|", Failure.DIVISION_BY_ZERO, "step 0, divide(n0,const_0): division by zero"),
    ("subtract(n0,n0)|inverse(#0)|", Failure.DIVISION_BY_ZERO, None),
    ("reminder(n0,n2)|", Failure.DIVISION_BY_ZERO, None),
    ("lcm(n2,n2)|", Failure.DIVISION_BY_ZERO, None),
    ("negate(const_1)|power(const_0,#0)|", Failure.DIVISION_BY_ZERO, None),
    ("sqrt(n2)|", Failure.COMPLEX, "step 0, sqrt(n2): complex"),
    ("cube_edge_by_volume(n2)|", Failure.COMPLEX, None),
    ("sqrt(n2)|power(#0,const_2)|", Failure.COMPLEX, None),  # -0.5, but still of the complex kind
    ("sqrt(n2)|floor(#0)|", Failure.COMPLEX, None),
    ("sqrt(n2)|max(#0,n0)|", Failure.COMPLEX, None),
    ("sqrt(n2)|log(#0)|add(n0,n1)|", Failure.COMPLEX, None),
    ("log(const_0)|", Failure.NOT_A_NUMBER, None),
    ("log(n2)|", Failure.NOT_A_NUMBER, None),
    ("triangle_area_three_edges(n0,n1,n1)|", Failure.NOT_A_NUMBER, None),
    ("add(n0,const_nan)|", Failure.NOT_A_NUMBER, "step 0, add(n0,const_nan): not a number"),
    ("subtract(const_inf,const_inf)|", Failure.NOT_A_NUMBER, None),
    ("floor(const_nan)|", Failure.NOT_A_NUMBER, None),
    ("add(n0,const_inf)|", Failure.TOO_LARGE, None),
    ("multiply(const_1e300,const_1e300)|", Failure.TOO_LARGE, None),
    ("power(const_1e300,const_2)|", Failure.TOO_LARGE, "step 0, power(const_1e300,const_2): too large"),
    ("floor(const_inf)|", Failure.TOO_LARGE, None),
    ("factorial(const_1000)|sqrt(#0)|", Failure.TOO_LARGE, None),
]


@pytest.mark.parametrize(("text", "failure", "message"), FAILURES)
def test_each_reason_to_fail(text: str, failure: Failure, message: str | None) -> None:
    result = execute_text(text, NUMBERS)
    assert (result.value, result.failure) == (None, failure)
    assert result.message == message or message is None


def test_every_reason_is_tested() -> None:
    assert {failure for _, failure, _ in FAILURES} == set(Failure)


@pytest.mark.parametrize(
    ("text", "strict"),
    [
        ("add(n0,n1,n2)|", "add(n0,n1)|"),
        ("sqrt(n0,n1)|", "sqrt(n0)|"),
        ("triangle_perimeter(n0,n1,n2,n0)|", "triangle_perimeter(n0,n1,n2)|"),
        ("add(n0,n1)add(n1,n1)|", "add(n0,n1)|"),
        ("add(n0,n1|", "add(n0,n1)|"),
        ("add(n0,n1(n2|", "add(n0,n1)|"),
        ("add( n0 ,\tn1 )|", "add(n0,n1)|"),
        ("||add(n0,n1)||sqrt(#0)||", "add(n0,n1)|sqrt(#0)|"),
        ("add(n0,n1)|sqrt(x#0)|", "add(n0,n1)|sqrt(#0)|"),
        ("add(n0,n1)|sqrt(#0#9)|", "add(n0,n1)|sqrt(#0)|"),
        ("add(n0,n1)|sqrt(#-1)|", "add(n0,n1)|sqrt(#0)|"),
        ("add(n-2,n 0)|", "add(n1,n0)|"),
        ("add(const_1_000,n0)|", "add(const_1,n0)|"),
    ],
)
def test_what_the_checker_reads_leniently_runs_the_same(text: str, strict: str) -> None:
    assert execute_text(text, NUMBERS).value == execute_text(strict, NUMBERS).value is not None


def test_a_surplus_argument_has_to_exist() -> None:
    assert execute_text("sqrt(n0,n9)|", NUMBERS).failure is Failure.NO_SUCH_NUMBER
    assert execute_text("sqrt(n0,#0)|", NUMBERS).failure is Failure.NO_SUCH_STEP


def test_ignored_text_is_passed_on() -> None:
    assert execute_text("sqrt(n0,n1)|", NUMBERS).ignored == ("step 0: argument 'n1' beyond the 1 of sqrt",)
    assert execute_text("sqrt(n9)x|", NUMBERS).ignored == ("step 0: text 'x' after the arguments",)


def test_step_values_are_kept_up_to_the_failure() -> None:
    assert execute_text("add(n0,n1)|sqrt(n0)|", NUMBERS).values == (11.0, math.sqrt(8))
    assert execute_text("add(n0,n1)|inverse(const_0)|", NUMBERS).values == (11.0,)


def test_whole_numbers_stay_exact_on_the_way() -> None:
    assert execute_text("factorial(const_1000)|factorial(const_998)|divide(#0,#1)|", []).value == 999_000
    assert execute_text("factorial(const_1000)|log(#0)|", []).value == pytest.approx(5912.128178)
    assert execute_text("factorial(const_30)|reminder(#0,const_31)|", []).value == 30  # Wilson's theorem
    assert execute_text("factorial(const_1000)|inverse(#0)|", []).value == 0


@pytest.mark.usefixtures("_alarm")
@pytest.mark.parametrize(
    "text",
    [
        "factorial(const_1000000000)|",
        "factorial(n0)|factorial(#0)|",
        "factorial(n0)|factorial(#0)|factorial(#1)|factorial(#2)|",
        "factorial(const_20000)|" + "multiply(#0,#0)|" * 20,
        "floor(const_9)|power(#0,#0)|power(#1,#1)|power(#2,#2)|",
        "factorial(n0)|power(#0,#0)|",
        "factorial(const_1000)|power(#0,#0)|",
        "floor(const_2)|" + "".join(f"power(#{i},#{i})|" for i in range(30)),
        "choose(const_1000000000,const_500000000)|",
        "choose(const_99999,const_50000)|",
        "permutation(const_1e15,const_1)|",
        "factorial(const_20000)|factorial(const_19999)|" + "reminder(#0,#1)|gcd(#0,#1)|lcm(#0,#1)|" * 300,
        "factorial(const_20000)|" + "add(#0,#0)|" * 3000,
        "".join(f"factorial(const_{20000 - i})|" for i in range(500)),
        "power(const_10,const_1e9)|",
        "power(const_1e300,const_1e300)|",
        "add(n0,n0)|" * (MAX_WORDS + 1),
    ],
    ids=lambda text: text[:60],
)
def test_what_would_not_end_is_too_large_at_once(text: str) -> None:
    assert execute_text(text, [20.0]).failure is Failure.TOO_LARGE


def test_many_cheap_steps_are_allowed() -> None:
    text = "add(n0,n0)|" + "".join(f"add(#{i},n0)|" for i in range(5000))
    assert execute_text(text, [1.0]).value == 5002


def test_results_can_be_shown() -> None:
    """Python refuses to write integers of more than 4300 digits, so a result must not be one."""
    result = execute_text("factorial(const_2000)|", [])
    assert result.failure is Failure.TOO_LARGE
    assert len(repr(execute_text("factorial(const_1500)|", []))) > 4000
    assert "factorial" in result.message


@pytest.mark.parametrize(
    ("value", "failure"),
    [
        (0, None),
        (-1.5, None),
        (10**4299, None),
        (10**4300, Failure.TOO_LARGE),
        (-math.inf, Failure.TOO_LARGE),
        (math.nan, Failure.NOT_A_NUMBER),
        (complex(1, 0), Failure.COMPLEX),
    ],
    ids=lambda value: "" if isinstance(value, int) else str(value),
)
def test_answers(value: Value, failure: Failure | None) -> None:
    assert check_answer(value) is failure


arguments = st.sampled_from(["n0", "n1", "n2", "n3", "#0", "#1", "#2", "const_2", "const_0", "const_pi", "", "x", "#x"])
steps = st.builds(
    lambda name, names, end: f"{name}({','.join(names)}{end}",
    st.sampled_from([*OPERATIONS, "foo", ""]),
    st.lists(arguments, min_size=1, max_size=4),
    st.sampled_from([")", ")", ")", "", ")x"]),
)


@given(st.lists(steps, max_size=6).map("|".join), st.lists(st.floats(), max_size=4))
def test_fuzzed_programs_end_with_a_value_or_a_reason(text: str, numbers: list[float]) -> None:
    result = execute_text(text, numbers)
    assert (result.value is None) == (result.failure is not None) == bool(result.message)
    if result.value is not None:
        assert check_answer(result.value) is None


@given(st.lists(steps, min_size=1, max_size=6).map("|".join), st.lists(st.floats(-100, 100), max_size=4))
def test_step_by_step_gives_what_the_whole_gives(text: str, numbers: list[float]) -> None:
    program = parse(text)
    values: list[Value] = []
    outcome: Value | Failure | None = None
    for step in program.steps:
        outcome = run_step(step.operation, step.arguments, numbers, values)
        if isinstance(outcome, Failure):
            break
        values.append(outcome)
    result = execute(program, numbers)
    assert repr(result.values) == repr(tuple(values))
    if isinstance(outcome, Failure):
        assert result.failure is outcome
    elif outcome is not None:
        assert result.failure is check_answer(outcome)


def test_a_message_shows_the_beginning_of_a_long_step():
    message = execute_text("foo(" + "n0," * 40 + "n0)|", [1.0]).message
    assert message.startswith("step 0, foo(n0,n0,")
    assert message.endswith("...: unknown operation: 'foo'")
