"""The numbers of a problem, found exactly as the course's checker finds them."""

from __future__ import annotations

import re
from typing import NamedTuple

_WITH_COMMAS = re.compile(r"\b\d{1,3}(,\d{3})+\b")
# A sign belongs to a number only before a decimal: "-0.5" is one half below zero, "-5" is 5.
_NUMBER = re.compile(r"[-+]?\d*\.\d+|\d+")


class FoundNumber(NamedTuple):
    """A number of a problem; `start` and `end` are its place in the text without commas."""

    value: float
    start: int
    end: int


def strip_commas(problem: str) -> str:
    """Return `problem` with "3,000" written "3000"; other commas stay."""
    return _WITH_COMMAS.sub(lambda match: match.group().replace(",", ""), problem)


def find_numbers(problem: str) -> list[FoundNumber]:
    """Return the numbers of `problem` from left to right: the i-th is what a program calls `n{i}`.

    A number within a word counts too ("2nd" holds 2). Places refer to `strip_commas(problem)`.
    """
    matches = _NUMBER.finditer(strip_commas(problem))
    return [FoundNumber(float(match.group()), match.start(), match.end()) for match in matches]
