"""Typed texts: written as the data's, with the numbers that they had, and what in them is not read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from myna.mathqa.language.numbers import find_numbers
from myna.mathqa.problems import mask, read_problems, split_path
from myna.mathqa.wording import find_lost_signs, find_numbers_in_words, separate


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("What is 20% of $3,000?", "what is n0 % of $ n1 ?"),
        ("It costs Rs.12.50/kg.", "it costs rs . n0 / kg ."),
        ("Rs.3,000 or Rs. .5", "rs . n0 or rs . n1"),
        ("10-2.5 and x+.5", "n0 - n1 and x + n2"),
        ("Asha's 3-digit number", "asha ' s n0 - digit number"),
        ("x^2-5x+6=0", "x ^ n0 - n1 x + n2 = n3"),
        ("at -0.5 degrees, not -5", "at n0 degrees , not - n1"),
        ("(1/2)", "( n0 / n1 )"),
        ("60 km/h", "n0 km / h"),
        ("", ""),
    ],
)
def test_marks_stand_alone_as_in_the_data(text: str, masked: str) -> None:
    assert mask(separate(text)) == masked


def test_a_full_stop_and_a_dash_are_no_part_of_a_number() -> None:
    assert [number.value for number in find_numbers(separate("Rs.500 less 10-2.5, at -0.5"))] == [500, 10, 2.5, -0.5]


@given(st.text(st.sampled_from("0123456789.,-+/%$ ab_(\n٣²½"), max_size=40) | st.text(max_size=40))
def test_the_numbers_stay_what_they_are(text: str) -> None:
    assume(not re.search(r"[^\W\d_]\.\d|[\w)%][-+]\.?\d", text))
    values = [number.value for number in find_numbers(text)]
    assert [number.value for number in find_numbers(separate(text))] == values
    assert mask(separate(separate(text))) == mask(separate(text))


@pytest.mark.data
def test_the_course_s_problems_read_as_before(data_dir: Path) -> None:
    for split in ("dev", "test"):
        for problem in read_problems(split_path(data_dir, split)):
            assert mask(separate(problem.text)) == mask(problem.text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Three boys and twenty-five girls, three of them new", ["three", "twenty-five"]),
        ("half a dozen, ½ full", ["half", "dozen", "½"]),
        ("which one of one hundred", ["hundred"]),
        ("twenty-one, not one-third", ["twenty-one"]),
        ("someone often weighs a ton", []),
        ("3 of 20", []),
    ],
)
def test_numbers_in_words_are_found(text: str, words: list[str]) -> None:
    assert find_numbers_in_words(text) == words


@pytest.mark.parametrize(
    ("text", "signed"),
    [
        ("it falls to -5, then to (-3,000) and to -5 again", ["-5", "-3000"]),
        ("it is −0.5 or −7", ["−0.5", "−7"]),
        ("-0.5 and -5.25 are read", []),
        ("3-5, 3 - 5 and x-2 are differences", []),
    ],
)
def test_signs_that_are_not_read_are_found(text: str, signed: list[str]) -> None:
    assert find_lost_signs(text) == signed
