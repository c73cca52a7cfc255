"""Two runs side by side on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_comparison(found: Mapping[str, Any]) -> None:
    """Print what `compare_runs` found, the verdict last."""
    console = Console()
    for key in ("a", "b"):
        run = found[key]
        parts = f"seed {run['seed']}, {run['n_parameters'] or 0:,} parameters, {run['minutes'] or 0:.1f} minutes"
        console.print(f"{key}: {run['name']} ({parts})", markup=False, highlight=False)
    settings = [(row["name"], _plain(row["a"]), _plain(row["b"])) for row in found["settings"]]
    _print_table(console, "settings that differ", ("", "a", "b"), settings)
    curves = [
        (row["name"].replace("_", " "), *(c for key in ("a", "b") for c in _curve_cells(row["name"], row[key])))
        for row in found["curves"]
    ]
    _print_table(console, "curves", ("", "a best", "epoch", "a final", "b best", "epoch", "b final"), curves)
    scores = [
        (
            f"{row['what']}: {row['measure'].replace('_', ' ')}",
            *(_score_cell(row, key) for key in ("a", "b")),
            _gain(row),
        )
        for row in found["scores"]
    ]
    _print_table(console, "scores", ("", "a", "b", "b less a"), scores)
    for sentence in found["sentences"] or ["No paired test: the runs share no predictions on val, dev or test."]:
        console.print(sentence, markup=False, highlight=False)
    if found["tests"]:
        console.print("Each p is of these two runs alone; another seed may give another difference.", highlight=False)
    for command in found["missing"]:
        console.print(f"not there yet; this makes it: {command}", markup=False, highlight=False, soft_wrap=True)


def _print_table(console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, or in a line that there is nothing to show."""
    if not rows:
        console.print(f"{title}: none that both runs have" if title != "settings that differ" else f"{title}: none")
        return
    table = Table(title=title, title_justify="left")
    table.add_column(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _curve_cells(name: str, ends: Mapping[str, Any]) -> tuple[str, str, str]:
    best, final = (f"{ends[key]:.3f}" if "loss" in name else f"{100 * ends[key]:.1f}" for key in ("best", "final"))
    return best, f"{ends['best_epoch']} of {ends['epochs']}", final


def _score_cell(row: Mapping[str, Any], key: str) -> str:
    return f"{row[key]:.3f}" if row["measure"] == "loss" else f"{100 * row[key]:.1f}"


def _gain(row: Mapping[str, Any]) -> str:
    difference = row["difference"]
    return f"{difference:+.3f}" if row["measure"] == "loss" else f"{100 * difference:+.1f}"


def _plain(value: Any) -> str:
    return "–" if value is None else {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
