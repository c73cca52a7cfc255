from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from myna.report.document import NOTHING, Cell, Column, Row, Table, number_cell, percent_cell
from myna.report.tables import (
    make_environment_table,
    make_run_table,
    make_setting_tables,
    mark_best,
)

Results = dict[str, Any]


def column(table: Table, title: str, group: str = "") -> list[Cell]:
    """The cells of the one column of a title, within the groups that begin so."""
    index = next(i for i, c in enumerate(table.columns) if c.title == title and c.group.startswith(group))
    return [row.cells[index] for row in table.rows]


def texts(cells: list[Cell]) -> list[str]:
    return [cell.text for cell in cells]


def configs_of(results: Results) -> list[tuple[str, dict[str, Any]]]:
    return [(run["label"], run["config"]) for run in results["runs"]]


def test_percent_cell_keeps_the_number_that_it_shows() -> None:
    assert percent_cell(0.53749, (0.5152, 0.56)) == Cell("53.7", 53.7, "51.5 to 56.0")


@pytest.mark.parametrize("cell", [percent_cell(None), number_cell(None)])
def test_absent_numbers_have_nothing_to_sort_by(cell: Cell) -> None:
    assert cell == Cell(NOTHING, None)


def test_mark_best_shares_ties_and_leaves_columns_without_a_best() -> None:
    columns = [Column("up", best="high"), Column("down", best="low"), Column("free")]
    rows = [
        Row((number_cell(a), number_cell(b), number_cell(c)), "run") for a, b, c in [(1, 1, 1), (2, 2, 2), (2, None, 3)]
    ]
    marks = [[cell.mark for cell in row.cells] for row in mark_best(columns, rows)]
    assert marks == [["", "best", ""], ["best", "", ""], ["best", "", ""]]
    same = [rows[0], replace(rows[0])]
    assert all(cell.mark == "" for row in mark_best(columns, same) for cell in row.cells)


def test_setting_tables_show_what_differs_and_fold_the_rest(results: Results) -> None:
    different, shared = make_setting_tables(configs_of(results))
    assert [texts(list(row.cells)) for row in different.rows] == [["model.type", "lstm_lstm", "lstm_lstm_attn"]]
    assert [texts(list(row.cells)) for row in shared.rows] == [["training.epochs", "4"], ["data.fold", "true"]]
    assert shared.is_folded
    assert not different.is_folded


def test_settings_of_a_single_run_are_not_folded(results: Results) -> None:
    results["runs"] = results["runs"][:1]
    (only,) = make_setting_tables(configs_of(results))
    assert not only.is_folded
    assert len(only.rows) == 3


def test_run_and_environment_tables(results: Results) -> None:
    runs, environment = make_run_table(results), make_environment_table(results)
    assert runs is not None
    assert environment is not None
    assert texts(column(runs, "Command"))[1] == "myna math train configs/lstm_lstm_attn.toml"
    assert [texts(list(row.cells)) for row in environment.rows][-1] == ["torch", "2.13.0"]


@pytest.mark.parametrize("make", [make_run_table, make_environment_table])
@pytest.mark.parametrize("results", [{}, {"runs": None, "environment": []}, {"runs": []}])
def test_no_table_without_figures(make: Callable[[Results], Table | None], results: Results) -> None:
    assert make(results) is None
