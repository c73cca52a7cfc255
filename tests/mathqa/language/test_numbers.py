"""Finding the numbers of a problem as the checker does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.mathqa.language.numbers import find_numbers, strip_commas


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("no numbers", []),
        ("6 men and 8.5 women", [6, 8.5]),
        ("rs . 3,000 and 12,345,678", [3000, 12345678]),
        ("1,2 and 1,23 are lists", [1, 2, 1, 23]),
        ("1234,567 does not begin with one to three digits", [1234, 567]),
        ("1,2345 does not end with three", [1, 2345]),
        ("the 2nd and x3", [2, 3]),
        ("- 5 and -5 have no sign", [5, 5]),
        ("-0.5 and +1.5 and - 2.5 have one if it is close", [-0.5, 1.5, 2.5]),
        ("7-2.5 is two numbers", [7, -2.5]),
        (".5 and 5. and 1.2.3", [0.5, 5, 1.2, 0.3]),
        ("20% of 1/2", [20, 1, 2]),
    ],
)
def test_numbers(problem: str, expected: list[float]) -> None:
    assert [number.value for number in find_numbers(problem)] == expected


def test_places_are_in_the_text_without_commas() -> None:
    problem = "rs . 3,000 , of which -1.5 %"
    text = strip_commas(problem)
    assert text == "rs . 3000 , of which -1.5 %"
    assert [text[number.start : number.end] for number in find_numbers(problem)] == ["3000", "-1.5"]


@given(st.text("0123456789,.+- ab", max_size=40))
def test_stripping_commas_twice_is_stripping_once(problem: str) -> None:
    once = strip_commas(problem)
    assert strip_commas(once) == once
    assert find_numbers(once) == find_numbers(problem)
