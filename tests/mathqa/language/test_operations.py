"""Every operation by an example worked by hand, and the sizes at which they give up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.mathqa.language.operations import MAX_BITS, MAX_FACTORIAL, OPERATIONS
from myna.mathqa.language.program import parse

# What departs from the textbook is told in operations.py; these are spec/operations.md worked by hand.
EXAMPLES: list[tuple[str, tuple[Any, ...], float]] = [
    ("negate", (3.0,), -3),
    ("inverse", (4.0,), 0.25),
    ("negate_prob", (0.3,), 0.7),
    ("floor", (2.9,), 2),
    ("floor", (-1.5,), -1),
    ("sqrt", (49.0,), 7),
    ("log", (math.e**2,), 2),
    ("factorial", (5.9,), 120),
    ("factorial", (0.0,), 1),
    ("factorial", (-3.0,), 1),
    ("square_area", (3.0,), 9),
    ("square_perimeter", (3.0,), 12),
    ("rhombus_perimeter", (5.0,), 20),
    ("square_edge_by_area", (81.0,), 9),
    ("square_edge_by_perimeter", (10.0,), 2.5),
    ("circle_area", (2.0,), 12.566370614),
    ("circumface", (2.0,), 12.566370614),
    ("volume_cube", (3.0,), 54),
    ("surface_cube", (3.0,), 54),
    ("cube_edge_by_volume", (27.0,), 3),
    ("surface_sphere", (1.0,), 12.566370614),
    ("volume_sphere", (3.0,), 113.097335529),
    ("add", (2.0, 3.0), 5),
    ("subtract", (2.0, 3.0), -1),
    ("multiply", (2.0, 3.0), 6),
    ("divide", (3.0, 4.0), 0.75),
    ("power", (2.0, 5.0), 32),
    ("reminder", (17.9, 5.9), 2),
    ("reminder", (-7.0, 3.0), 2),
    ("gcd", (12.9, 18.0), 6),
    ("lcm", (4.0, 6.9), 12),
    ("choose", (5.0, 2.0), 10),
    ("choose", (5.5, 1.7), 20),
    ("choose", (3.0, 5.0), 0.05),
    ("permutation", (5.0, 3.0), 20),
    ("permutation", (3.0, 5.0), 0.05),
    ("max", (2.0, 3.0), 3),
    ("min", (2.0, 3.0), 2),
    ("speed", (10.0, 4.0), 2.5),
    ("p_after_gain", (10.0, 4.0), 2.5),
    ("original_price_before_loss", (20.0, 50.0), 40),
    ("original_price_before_gain", (20.0, 50.0), 60),
    ("stream_speed", (10.0, 4.0), 7),
    ("rectangle_area", (3.0, 4.0), 12),
    ("rectangle_perimeter", (3.0, 4.0), 14),
    ("triangle_area", (3.0, 4.0), 6),
    ("rhombus_area", (3.0, 4.0), 3.5),
    ("volume_cylinder", (3.0, 2.0), 12.566370614),
    ("volume_cone", (3.0, 7.0), 28.274333882),
    ("surface_cylinder", (1.0, 2.0), 18.849555922),
    ("quadrilateral_area", (10.0, 2.0, 4.0), 30),
    ("triangle_perimeter", (3.0, 4.0, 5.0), 12),
    ("triangle_area_three_edges", (3.0, 4.0, 5.0), 6),
    ("volume_rectangular_prism", (2.0, 3.0, 4.0), 24),
    ("surface_rectangular_prism", (2.0, 3.0, 4.0), 52),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), EXAMPLES)
def test_worked_example(name: str, arguments: tuple[Any, ...], expected: float) -> None:
    assert OPERATIONS[name].n_args == len(arguments)
    assert OPERATIONS[name].function(*arguments) == pytest.approx(expected, rel=1e-9)


def test_every_operation_has_an_example() -> None:
    assert {name for name, _, _ in EXAMPLES} == set(OPERATIONS)
    assert len(OPERATIONS) == 48


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_words_name_the_arguments_that_are_used(operation: Any) -> None:
    values = dict(zip("abc", ("<1>", "<2>", "<3>"), strict=True))
    said = operation.words.format(**values)
    used = list(values.values())[: 1 if operation.name == "volume_cone" else operation.n_args]
    assert [value for value in values.values() if value in said] == used


@pytest.mark.data
def test_arities_are_those_of_the_data(data_dir: Path) -> None:
    found: dict[str, set[int]] = {}
    for split in ("train", "dev", "test"):
        for item in json.loads((data_dir / "mathqa" / f"{split}.json").read_text()):
            for step in parse(item["linear_formula"]).steps:
                found.setdefault(step.operation, set()).add(len(step.arguments))
    assert found == {name: {OPERATIONS[name].n_args} for name in found}
    assert len(found) == 45


def loop_factorial(a: float) -> int:
    """The factorial as the course's checker multiplies it out."""
    product = 1
    for factor in range(1, int(a + 1)):
        product *= factor
    return product


# 2.9999999999999996 + 1 rounds to 4.
around_a_whole_number = st.one_of(
    st.floats(-5, 60), st.integers(-5, 60), st.sampled_from([0.9999999999999999, 2.9999999999999996, 170.0, 171.0])
)


@given(around_a_whole_number)
def test_factorial_is_the_checkers(a: float) -> None:
    assert OPERATIONS["factorial"].function(a) == loop_factorial(a)


def outcome(function: Callable[..., float], *arguments: float) -> float | str:
    """What a function gives, an overflow included."""
    try:
        return function(*arguments)
    except OverflowError:
        return "overflow"


beyond_floats = [(1500.0, 1498.0), (2000.0, 3.0), (3.0, 2000.0), (1030.0, 515.0), (170.0, 0.0), (171.0, 0.0)]


def assert_quotients_are_the_checkers(a: float, b: float) -> None:
    choose = outcome(lambda: loop_factorial(a) / (loop_factorial(b) * loop_factorial(a - b)))
    permutation = outcome(lambda: loop_factorial(a) / loop_factorial(b))
    assert outcome(OPERATIONS["choose"].function, a, b) == choose
    assert outcome(OPERATIONS["permutation"].function, a, b) == permutation


@given(around_a_whole_number, around_a_whole_number)
def test_choose_and_permutation_are_the_checkers_to_the_last_bit(a: float, b: float) -> None:
    assert_quotients_are_the_checkers(a, b)


@pytest.mark.parametrize(("a", "b"), beyond_floats)
def test_quotients_of_factorials_beyond_floats(a: float, b: float) -> None:
    assert_quotients_are_the_checkers(a, b)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("factorial", (1e9,)),
        ("factorial", (math.inf,)),
        ("factorial", (MAX_FACTORIAL,)),
        ("choose", (1e9, 2.0)),
        ("choose", (1e18, 1e17)),
        ("choose", (2.0, -1e12)),
        ("choose", (100_000.0, 50_000.0)),
        ("permutation", (1e9, 999_999_999.0)),
        ("permutation", (90_000.0, 3.0)),
        ("power", (10**9, 10**9)),
        ("power", (-3, 10**100)),
        ("power", (10.0, 1e9)),
        ("reminder", (math.inf, 3.0)),
        ("gcd", (3.0, math.inf)),
        ("lcm", (math.inf, 3.0)),
    ],
)
def test_what_would_not_end_is_too_large(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(OverflowError):
        OPERATIONS[name].function(*arguments)


def test_factorials_go_as_far_as_the_size_of_numbers_allows() -> None:
    assert OPERATIONS["factorial"].function(20_000) == math.factorial(20_000)
    largest = max(n for n in range(20_000, 21_000) if math.lgamma(n + 1) / math.log(2) <= MAX_BITS)
    assert OPERATIONS["factorial"].function(largest).bit_length() <= MAX_BITS
    with pytest.raises(OverflowError):
        OPERATIONS["factorial"].function(largest + 1)


@pytest.mark.parametrize(("a", "b", "expected"), [(1, 10**9, 1), (-1, 10**9 + 1, -1), (0, 10**9, 0), (2, -2, 0.25)])
def test_powers_of_whole_numbers_that_stay_small(a: int, b: int, expected: float) -> None:
    assert OPERATIONS["power"].function(a, b) == expected


def test_whole_results_are_ints_where_the_checkers_are() -> None:
    whole = {"floor": (2.5,), "factorial": (3.0,), "reminder": (7.0, 4.0), "gcd": (4.0, 6.0), "lcm": (4.0, 6.0)}
    for name, arguments in whole.items():
        assert type(OPERATIONS[name].function(*arguments)) is int
    assert type(OPERATIONS["choose"].function(4.0, 2.0)) is float


def test_lcm_of_two_zeros_divides_by_zero() -> None:
    with pytest.raises(ZeroDivisionError):
        OPERATIONS["lcm"].function(0.0, 0.0)
