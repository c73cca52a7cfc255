"""Word problems: reading and writing them, and masking their numbers. No torch in here."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from myna.errors import UserError
from myna.files import read_json
from myna.mathqa.language.numbers import find_numbers, strip_commas
from myna.mathqa.language.program import parse

SPLITS = ("train", "dev", "test")
NUMBER_WORD = re.compile(r"n\d+")
"""What stands for a number in a masked text and in a program: n0, n1, ..."""


@dataclass(frozen=True)
class Problem:
    """A word problem of the course's format.

    Attributes:
        text: the problem as it was given.
        formula: the reference program's text; None where the file has none.
        answer: the reference answer; None where the file has none.
        place: file and item that it was read from, for messages; "" for none. No part of what the problem is.
    """

    text: str
    formula: str | None = None
    answer: float | None = None
    # A run's data is known by a hash of the repr, which may not change with the folder that the data lies in.
    place: str = field(default="", compare=False, repr=False)


def hash_problems(training: Sequence[Problem], validation: Sequence[Problem]) -> str:
    """Return a hash of the problems that are learned from and chosen by."""
    seen = repr((list(training), list(validation)))
    return hashlib.sha256(seen.encode("utf-8", "backslashreplace")).hexdigest()


def mask(text: str) -> str:
    """Return the problem with its i-th number replaced by the word n{i}, lower case, single spaces."""
    return " ".join(mask_with_numbers(text)[0])


def mask_with_numbers(text: str) -> tuple[list[str], list[float]]:
    """Return the words of the masked problem, and the values that n0, n1, ... stand for.

    Numbers are those that the checker finds: "3,000" is one, "2nd" holds a 2.
    """
    text = strip_commas(text)
    numbers = find_numbers(text)
    pieces, end = [], 0
    for index, number in enumerate(numbers):
        pieces += [text[end : number.start], f" n{index} "]
        end = number.end
    return "".join([*pieces, text[end:]]).lower().split(), [number.value for number in numbers]


def read_problems(path: Path) -> list[Problem]:
    """Read a file of the course's format; `linear_formula` and `answer` may be missing.

    Raises:
        UserError: the file is not a list of problems; the message names the item.
    """
    return [_problem(item, f"{path}: item {index}") for index, item in enumerate(read_items(path))]


def read_items(path: Path) -> list[dict[str, Any]]:
    """Read a file of the course's format as plain dictionaries, each with a text under Problem.

    Raises:
        UserError: the file is not a list of objects with a text under Problem.
    """
    items = read_json(path)
    if not isinstance(items, list):
        raise UserError(f"{path}: expected a list of problems, not {type(items).__name__}")
    for index, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("Problem"), str):
            raise UserError(f"{path}: item {index}: expected an object with a text under Problem")
    return items


def split_path(data: Path, split: str) -> Path:
    """Return the file of a split inside a data folder."""
    return data / "mathqa" / f"{split}.json"


def _problem(item: dict[str, Any], place: str) -> Problem:
    """Check one item of the course's format."""
    formula, answer = item.get("linear_formula"), item.get("answer")
    if formula is not None and not isinstance(formula, str):
        raise UserError(f"{place}: linear_formula: expected a text, not {formula!r}")
    if answer is not None and (isinstance(answer, bool) or not isinstance(answer, int | float)):
        raise UserError(f"{place}: answer: expected a number, not {answer!r}")
    return Problem(item["Problem"], formula, answer, place)


def check_scorable(problems: Sequence[Problem]) -> None:
    """Refuse problems that a prediction could not be scored against, before hours go into predicting.

    Raises:
        UserError: a problem has no answer, no reference, or none that parses; the message names it.
    """
    for problem in problems:
        program_tokens(problem)
        if problem.answer is None:
            raise UserError(f"{_said(problem)}no answer to score against in problem: {shorten(problem.text, 60)}")
        if isinstance(problem.answer, float) and not math.isfinite(problem.answer):
            raise UserError(f"{_said(problem)}answer: expected a finite number, not {problem.answer}")


def program_tokens(problem: Problem) -> list[str]:
    """Return the reference's operations and arguments, in order.

    Raises:
        UserError: the problem has no reference, or none that parses.
    """
    if problem.formula is None:
        raise UserError(
            f"{_said(problem)}no linear_formula to learn from or score against in problem: {shorten(problem.text, 60)}"
        )
    try:
        return parse(problem.formula).tokens
    except ValueError as error:
        raise UserError(f"{_said(problem)}linear_formula {problem.formula!r}: {error}") from None


def _said(problem: Problem) -> str:
    """Return the place of a problem as a message begins with it."""
    return f"{problem.place}: " if problem.place else ""


def as_items(problems: Sequence[Problem], predicted: Sequence[str]) -> list[dict[str, Any]]:
    """Return problems and predicted programs in the course's format, ready to be written."""
    return [
        {"Problem": problem.text, "linear_formula": problem.formula, "answer": problem.answer, "predicted": program}
        for problem, program in zip(problems, predicted, strict=True)
    ]
