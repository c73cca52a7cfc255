"""What a paired test says, as words and as cells; the same for both halves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from myna.report.document import NOTHING, Cell, Column, number_cell, text_cell
from myna.report.results import as_number, in_percent

SIGNIFICANT = 0.05
"""The chance of any false alarm among all comparisons that is put up with."""
TEST_COLUMNS = (
    Column("Seeds"),
    Column("First less second"),
    Column("p"),
    Column("p, adjusted"),
    Column("In words", is_number=False),
)


def cells_of(comparison: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the cells of a comparison under `TEST_COLUMNS`."""
    p, p_holm = as_number(comparison.get("p")), as_number(comparison.get("p_holm"))
    seeds, difference = number_cell(as_number(comparison.get("n_seeds"))), difference_cell(comparison)
    return seeds, difference, p_cell(p), p_cell(p_holm), text_cell(judge(p_holm if p_holm is not None else p))


def difference_cell(comparison: Mapping[str, Any], more: str = "") -> Cell:
    """Return a difference in points, with its sign, its interval below, and `more` after that."""
    difference, low, high = (as_number(comparison.get(key)) for key in ("difference", "low", "high"))
    if difference is None:
        return Cell(NOTHING)
    interval = "" if low is None or high is None else f"{signed(low)} to {signed(high)}"
    return Cell(signed(difference), in_percent(difference), ", ".join(filter(None, (interval, more))))


def p_cell(p: float | None) -> Cell:
    """Return a p."""
    return Cell(NOTHING) if p is None else Cell("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def say_p(p: float) -> str:
    """Return "p = 0.012"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def judge(p: float | None) -> str:
    """Return what a p says, in words."""
    return "" if p is None else "more than noise" if p < SIGNIFICANT else "not more than noise"


def adjusted_p(comparison: Mapping[str, Any]) -> float | None:
    """Return the adjusted p of a comparison, or the plain one where it has no other."""
    p = as_number(comparison.get("p_holm"))
    return as_number(comparison.get("p")) if p is None else p


def signed(share: float) -> str:
    """Return a share in percent with its sign; what is shown as 0 is never below it."""
    return f"{in_percent(share) + 0.0:+.1f}"
