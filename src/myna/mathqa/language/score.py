"""The course's scores: exact match, execution accuracy and token match."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from myna.mathqa.language.execute import Failure, execute_text
from myna.mathqa.language.numbers import find_numbers
from myna.mathqa.language.program import split_tokens

TOLERANCE = 0.02
"""How far a value may be from the answer, as a share of the answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one prediction fares.

    Attributes:
        exact: the texts are equal once a closing `|` is dropped from each.
        raw_exact: the texts are equal.
        executes: the program's value is within 2 % of the answer.
        token_match: share of tokens that are the same at the same position.
        failure: why the program has no value; None if it has one, right or wrong.
        message: the failure with its place, for people.
        value: what the program gives; None on failure.
        ignored: what the text says beside its steps, one remark each.
    """

    exact: bool
    raw_exact: bool
    executes: bool
    token_match: float
    failure: Failure | None = None
    message: str = ""
    value: int | float | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares from 0 to 1 over `n` predictions (0 where there are none), and failures by reason."""

    n: int
    exact_match: float
    raw_exact_match: float
    execution_accuracy: float
    token_match: float
    failures: dict[str, int] = field(default_factory=dict)


def judge(problem: str, answer: float, reference: str, predicted: str) -> Verdict:
    """Compare a predicted program with the reference program and the answer of a problem."""
    result = execute_text(predicted, [number.value for number in find_numbers(problem)])
    return Verdict(
        # The checker trips over an empty prediction, so it equals nothing.
        exact=bool(predicted) and predicted.removesuffix("|") == reference.removesuffix("|"),
        raw_exact=bool(predicted) and predicted == reference,
        executes=result.value is not None and _is_close(result.value, answer),
        token_match=match_tokens(reference, predicted),
        failure=result.failure,
        message=result.message,
        value=result.value,
        ignored=result.ignored,
    )


def match_tokens(reference: str, predicted: str) -> float:
    """Return the share of tokens (operations and arguments) that two programs have at the same position.

    The share is of the longer one's length; 0 if both are empty.
    """
    ours, theirs = split_tokens(predicted), split_tokens(reference)
    n_longer = max(len(ours), len(theirs))
    return sum(map(str.__eq__, ours, theirs)) / n_longer if n_longer else 0.0


def summarise(verdicts: Sequence[Verdict]) -> Scores:
    """Average verdicts and count the failures by reason, the most frequent first."""
    n = len(verdicts)
    failures = Counter(verdict.failure.value for verdict in verdicts if verdict.failure is not None)
    return Scores(
        n=n,
        exact_match=_mean([verdict.exact for verdict in verdicts]),
        raw_exact_match=_mean([verdict.raw_exact for verdict in verdicts]),
        execution_accuracy=_mean([verdict.executes for verdict in verdicts]),
        token_match=_mean([verdict.token_match for verdict in verdicts]),
        failures=dict(failures.most_common()),
    )


def is_same(value: float | None, other: float | None) -> bool:
    """Return whether two values are the same answer, the last digits of floating-point numbers aside."""
    if value is None or other is None:
        return False
    try:
        return math.isclose(value, other, rel_tol=1e-6, abs_tol=1e-12)
    except OverflowError:  # of a whole number that no float can hold
        return value == other


def _is_close(value: float, answer: float) -> bool:
    """Return whether a value is within the tolerance of the answer; to an answer of 0 none is.

    A NaN is close to nothing. (The checker asks whether the error is too large, so it lets NaN pass.)
    """
    try:
        return abs((value - answer) / answer) <= TOLERANCE
    except (ZeroDivisionError, OverflowError):
        return False


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
