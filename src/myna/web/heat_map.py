"""An attention map as the page draws it: shaded squares, and for each token in words what was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myna.mathqa.solution import Attention

CELL = 18
"""Side of a square."""
_LETTER = 7.2
"""Width of a letter of a label."""
_LEAST_SHOWN = 0.01
"""Weights below it are left out."""
_N_NAMED = 3
"""Words that are named for a token."""


@dataclass(frozen=True)
class Square:
    """A weight in the map.

    Attributes:
        x, y: of the upper left corner.
        share: of the largest weight in the map.
        label: what it says when pointed at.
    """

    x: float
    y: float
    share: float
    label: str


@dataclass(frozen=True)
class Look:
    """What the model looked at while it wrote a token: the words with the largest weights, and these."""

    token: str
    words: list[tuple[str, float]]


@dataclass(frozen=True)
class HeatMap:
    """An attention map, laid out.

    Attributes:
        width, height: of the drawing.
        left, top: where the squares begin.
        words, tokens: labels of columns and rows, with the middle of each.
        squares: the weights that are worth showing.
        looks: the same in words, a line for each token.
        cell: side of a square.
    """

    width: float
    height: float
    left: float
    top: float
    words: list[tuple[str, float]]
    tokens: list[tuple[str, float]]
    squares: list[Square]
    looks: list[Look]
    cell: float = CELL


def lay_out(attention: Attention) -> HeatMap:
    """Return where everything of an attention map stands."""
    words, tokens, weights = attention.words, attention.tokens, attention.weights
    largest = max((weight for row in weights for weight in row), default=1.0)
    left, top = (_LETTER * max(map(len, labels), default=0) + 12 for labels in (tokens, words))
    return HeatMap(
        left + CELL * len(words) + 8,
        top + CELL * len(tokens) + 8,
        left,
        top,
        [(word, left + CELL * (j + 0.5)) for j, word in enumerate(words)],
        [(token, top + CELL * (i + 0.5)) for i, token in enumerate(tokens)],
        [
            Square(
                left + CELL * j,
                top + CELL * i,
                weight / largest,
                f"{tokens[i]} looked at {words[j]}: {100 * weight:.0f} %",
            )
            for i, row in enumerate(weights)
            for j, weight in enumerate(row)
            if weight >= _LEAST_SHOWN
        ],
        [Look(token, _most_looked_at(words, row)) for token, row in zip(tokens, weights, strict=True)],
    )


def _most_looked_at(words: list[str], row: list[float]) -> list[tuple[str, float]]:
    """Return the words with the largest weights, largest first."""
    order = sorted(range(len(row)), key=lambda j: -row[j])[:_N_NAMED]
    return [(words[j], row[j]) for j in order if row[j] >= _LEAST_SHOWN]
