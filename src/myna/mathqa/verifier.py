"""Which of several programs to believe: a verifier, fitted on dev. No torch in here.

A model that writes knows which programs are likely; the nearest training problems know which were right before. Neither
looks at what comes out: that a number of people is whole, that hardly an answer is negative, that two ways to one value
speak for it. A verifier ranks the candidates of both by all of that.

Source: Cobbe et al. 2021, arXiv 2110.14168, section 4, rank sampled solutions by a verifier, there a language model.
This one is a conditional logit (McFadden 1974): the probability that a candidate is the one to believe is the softmax,
over the candidates of its problem, of a weighted sum of features. That candidates of one value speak for each other is
self-consistency (Wang et al. 2022, arXiv 2203.11171).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from myna.errors import UserError
from myna.mathqa.baselines import Neighbour
from myna.mathqa.fitted import Fitted
from myna.mathqa.language.operations import OPERATIONS
from myna.mathqa.language.score import is_same
from myna.mathqa.problems import NUMBER_WORD

FILE = "verifier.json"
FEATURES = (
    "in the beam",
    "likeliest of the beam",
    "log-probability",
    "log-probability of a token",
    "of a neighbour",
    "of the nearest",
    "of the same text",
    "likeness",
    "likeness behind the nearest",
    "numbers more or fewer than in the neighbour",
    "question shared with the neighbour",
    "neighbours for the value",
    "probability for the value",
    "whole",
    "whole where it is asked how many",
    "two decimals",
    "positive",
    "between 0 and 1",
    "one of the numbers",
    "magnitude",
    "magnitude beside the largest number",
    "numbers left out",
    "steps",
    "constants",
)
"""What a verifier weighs, in the order of `describe`'s columns."""
_LEAST_LOG = -20.0  # log-probability of a program that the beam does not hold
_LEAST_LOG_OF_TOKEN = -4.0
_QUESTION = 12  # words at a problem's end
_TEMPERATURE = 0.05  # of likeness, where neighbours vote
_RIDGE = 10.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A program that may answer a problem.

    Attributes:
        tokens: its operations and arguments.
        value: what it gives on the problem's numbers.
        log_probability: in the model's view; None where the beam does not hold it.
        neighbour: the nearest training problem with this program; None if no near one has it.
    """

    tokens: tuple[str, ...]
    value: float
    log_probability: float | None
    neighbour: Neighbour | None


def describe(words: Sequence[str], numbers: Sequence[float], candidates: Sequence[Candidate]) -> Array:
    """Return what speaks for and against candidates (C, F), a column for each of FEATURES.

    Args:
        words: of the masked problem.
        numbers: what n0, n1, ... stand for.
        candidates: distinct programs, those of the beam in its order.
    """
    best = max((c.log_probability for c in candidates if c.log_probability is not None), default=0.0)
    nearest = max((c.neighbour.cosine for c in candidates if c.neighbour is not None), default=0.0)
    votes = [_votes(candidate, nearest) for candidate in candidates]  # (likeness, probability) each
    asks_how_many = "how many" in " ".join(words[-_QUESTION:])
    rows = []
    for candidate in candidates:
        agreeing = [
            vote for other, vote in zip(candidates, votes, strict=True) if is_same(candidate.value, other.value)
        ]
        rows.append(
            [
                *_of_search(candidate, best),
                *_of_neighbour(candidate.neighbour, nearest, words, len(numbers)),
                sum(likeness for likeness, _ in agreeing),
                sum(probability for _, probability in agreeing),
                *_of_value(candidate.value, numbers, asks_how_many),
                *_of_program(candidate.tokens, len(numbers)),
            ]
        )
    return np.array(rows, dtype=np.float64).reshape(len(candidates), len(FEATURES))


def _votes(candidate: Candidate, nearest: float) -> tuple[float, float]:
    """Return how much of likeness and of probability a candidate gives to its value."""
    neighbour, log_probability = candidate.neighbour, candidate.log_probability
    return (
        math.exp((neighbour.cosine - nearest) / _TEMPERATURE) if neighbour is not None else 0.0,
        math.exp(log_probability) if log_probability is not None else 0.0,
    )


def _of_search(candidate: Candidate, best: float) -> list[float]:
    log_probability = candidate.log_probability
    if log_probability is None:
        return [0, 0, _LEAST_LOG, _LEAST_LOG_OF_TOKEN]
    of_token = log_probability / (len(candidate.tokens) + 1)
    return [1, log_probability == best, max(log_probability, _LEAST_LOG), max(of_token, _LEAST_LOG_OF_TOKEN)]


def _of_neighbour(neighbour: Neighbour | None, nearest: float, words: Sequence[str], n_numbers: int) -> list[float]:
    if neighbour is None:
        return [0, 0, 0, 0, -nearest, 0, 0]
    others = neighbour.text.split()
    question, theirs = set(words[-_QUESTION:]), set(others[-_QUESTION:])
    return [
        1,
        neighbour.cosine == nearest,
        others == list(words),
        neighbour.cosine,
        neighbour.cosine - nearest,
        abs(sum(NUMBER_WORD.fullmatch(word) is not None for word in others) - n_numbers),
        len(question & theirs) / max(1, len(question | theirs)),
    ]


def _of_value(value: float, numbers: Sequence[float], asks_how_many: bool) -> list[float]:
    is_whole = _is_whole(value)
    magnitude = math.log10(min(max(abs(value), 1e-9), 1e9))
    largest = math.log10(min(max([1e-9, *map(abs, numbers)]), 1e9))
    return [
        is_whole,
        is_whole and asks_how_many,
        _is_whole(100 * value),
        value > 0,
        0 < value < 1,
        any(is_same(value, number) for number in numbers),
        magnitude,
        magnitude - largest,
    ]


def _of_program(tokens: Sequence[str], n_numbers: int) -> list[float]:
    used = {token for token in tokens if NUMBER_WORD.fullmatch(token)}
    return [
        n_numbers - len(used),
        sum(token in OPERATIONS for token in tokens),
        sum(token.startswith("const_") for token in tokens),
    ]


def _is_whole(value: float) -> bool:
    return abs(value) < 1e15 and abs(value - round(value)) < 1e-6


class Verifier(Fitted):
    """Ranks candidates by weights of their features."""

    file = FILE

    n: int = Field(description="problems that it was fitted on: those with both a right and a wrong candidate")
    weights: dict[str, float] = Field(description="of each feature; their sums are log-odds between candidates")

    def shares(self, features: Array) -> Array:
        """Return the probability (C,) of each candidate to be the one to believe.

        Args:
            features: (C, F), as `describe` gives them.
        """
        heights = features @ np.array([self.weights[name] for name in FEATURES])
        odds = np.exp(heights - heights.max(initial=-np.inf))
        shares: Array = odds / odds.sum()
        return shares

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read that of a model; None if it has none.

        Raises:
            UserError: the file is broken, or weighs other features.
        """
        verifier = super().load(folder)
        if verifier is not None and set(verifier.weights) != set(FEATURES):
            raise UserError(f"{folder / FILE}: weights: expected those of {', '.join(FEATURES)}")
        return verifier


def fit(problems: Sequence[tuple[Array, Sequence[bool]]]) -> Verifier:
    """Fit the weights that make a right candidate likeliest, with a ridge on features of unit variance.

    Args:
        problems: of each its features (C, F), and which candidates are right; where none is, or all are, there is
            nothing to learn. Of no problem at all the weights are 0.
    """
    from scipy.optimize import minimize

    telling = [(features, list(right)) for features, right in problems if any(right) and not all(right)]
    if not telling:
        return Verifier(n=0, weights=dict.fromkeys(FEATURES, 0.0))
    sizes = [len(right) for _, right in telling]
    starts, owners = np.cumsum([0, *sizes[:-1]]), np.repeat(np.arange(len(sizes)), sizes)
    right = np.concatenate([right for _, right in telling])  # (all candidates,)
    features = np.concatenate([features for features, _ in telling])  # (all candidates, F)
    # A feature that never varies gets no weight.
    scales = np.where(features.std(0) > 1e-9, features.std(0), np.inf)
    scaled = features / scales

    def loss(weights: Array) -> tuple[float, Array]:
        heights = scaled @ weights
        odds = np.exp(heights - np.maximum.reduceat(heights, starts)[owners])
        of_right = np.maximum(np.add.reduceat(odds * right, starts), np.finfo(np.float64).tiny)
        totals = np.add.reduceat(odds, starts)
        slopes = odds / totals[owners] - odds * right / of_right[owners]
        height = float(np.log(totals / of_right).sum() + _RIDGE * weights @ weights)
        return height, scaled.T @ slopes + 2 * _RIDGE * weights

    found = minimize(loss, np.zeros(len(FEATURES)), jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-6})
    return Verifier(n=len(telling), weights=dict(zip(FEATURES, map(float, found.x / scales), strict=True)))
