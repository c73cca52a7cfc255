from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from myna.report.document import NOTHING, Cell, Column, Row, Table, number_cell, percent_cell
from myna.report.published import PUBLISHED
from myna.report.tables import (
    make_cost_table,
    make_curve_table,
    make_environment_table,
    make_fact_tables,
    make_failure_table,
    make_published_table,
    make_run_table,
    make_score_table,
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


def scores(results: Results, split: str = "test") -> Table:
    table = make_score_table(results, split)
    assert table is not None
    return table


def test_percent_cell_keeps_the_number_that_it_shows() -> None:
    assert percent_cell(0.53749, (0.5152, 0.56)) == Cell("53.7", 53.7, "51.5 to 56.0")


@pytest.mark.parametrize("cell", [percent_cell(None), number_cell(None)])
def test_absent_numbers_have_nothing_to_sort_by(cell: Cell) -> None:
    assert cell == Cell(NOTHING, None)


def test_score_table_has_a_row_for_each_search_and_baseline_and_published_model(results: Results) -> None:
    table = scores(results)
    n_published = sum(each.is_as_assigned for each in PUBLISHED)
    kinds = [row.kind for row in table.rows]
    assert kinds[:7] == ["run"] * 6 + ["baseline"]
    assert len(kinds) == 7 + n_published
    assert set(kinds[7:]) == {"published", "reference"}
    assert texts(column(table, "System"))[:7] == ["lstm_lstm"] * 3 + ["lstm_lstm_attn"] * 3 + ["look-up baseline"]
    assert texts(column(table, "Search"))[2:4] == ["grammar + execution, beam 10", "plain, beam 10"]


def test_score_table_values(results: Results) -> None:
    table = scores(results, "dev")
    assert texts(column(table, "EM")) == ["40.0", "41.0", "40.5", "50.0", "51.0", "50.5", "70.0"]
    assert column(table, "EM")[0].note == "38.0 to 42.0"
    assert texts(column(table, "Raw EM"))[0] == "20.0"
    assert texts(column(table, "Exec", "Novel"))[0] == "20.0"
    assert table.groups == [
        ("", 2),
        ("All, n = 1,000", 4),
        ("Seen, n = 700", 2),
        ("Novel, n = 300", 2),
        ("Far, n = 150", 2),
    ]


def test_score_table_marks_the_best_and_the_best_trained_model(results: Results) -> None:
    results["runs"] = results["runs"][1:]
    marks = [cell.mark for cell in column(scores(results, "dev"), "EM")]
    assert marks == ["", "best_run", "", "best"]


def test_published_rows_stand_beside_real_test_figures_alone(results: Results) -> None:
    def kinds(table: Table) -> set[str]:
        return {row.kind for row in table.rows}

    assert "published" in kinds(scores(results, "test"))
    assert "published" not in kinds(scores(results, "dev"))
    assert "published" not in kinds(scores(results | {"is_generated": True}, "test"))


def test_columns_that_hold_nothing_are_dropped(results: Results) -> None:
    for entry in results["runs"] + results["baselines"]:
        for score in entry["scores"]["dev"]:
            del score["far"], score["raw_exact_match"]
    titles = [(column.title, column.group.partition(",")[0]) for column in scores(results, "dev").columns]
    assert ("EM", "Novel") in titles
    assert ("EM", "Far") not in titles
    assert "Raw EM" not in dict(titles)


def test_an_empty_subset_has_no_share(results: Results) -> None:
    results["runs"][0]["scores"]["dev"][0]["far"] = {"n": 0, "exact_match": 0.0, "execution_accuracy": 0.0}
    assert column(scores(results, "dev"), "EM", "Far")[0].text == NOTHING


def test_runs_of_one_label_are_told_apart_by_seed_then_by_name(results: Results) -> None:
    run = results["runs"][0]
    results["runs"] = [run, run | {"seed": 1, "name": "b"}, run | {"seed": 1, "name": "c"}]
    titles = list(dict.fromkeys(texts(column(scores(results, "dev"), "System"))))
    assert titles == ["lstm_lstm, seed 0", "lstm_lstm, b", "lstm_lstm, c", "look-up baseline"]


def test_mark_best_shares_ties_and_leaves_columns_without_a_best() -> None:
    columns = [Column("up", best="high"), Column("down", best="low"), Column("free")]
    rows = [
        Row((number_cell(a), number_cell(b), number_cell(c)), "run") for a, b, c in [(1, 1, 1), (2, 2, 2), (2, None, 3)]
    ]
    marks = [[cell.mark for cell in row.cells] for row in mark_best(columns, rows)]
    assert marks == [["", "best", ""], ["best", "", ""], ["best", "", ""]]
    same = [rows[0], replace(rows[0])]
    assert all(cell.mark == "" for row in mark_best(columns, same) for cell in row.cells)


def test_failure_table_counts_by_reason(results: Results) -> None:
    table = make_failure_table(results, "test")
    assert table is not None
    assert texts(column(table, "All"))[:3] == ["4", "1", "0"]
    assert texts(column(table, "Share (%)"))[:3] == ["0.4", "0.1", "0.0"]
    assert texts(column(table, "too large"))[:3] == ["3", "0", "0"]
    assert column(table, "Share (%)")[2].mark == "best"


def test_setting_tables_show_what_differs_and_fold_the_rest(results: Results) -> None:
    different, shared = make_setting_tables(results)
    assert [texts(list(row.cells)) for row in different.rows] == [["model.type", "lstm_lstm", "lstm_lstm_attn"]]
    assert [texts(list(row.cells)) for row in shared.rows] == [["training.epochs", "4"], ["data.fold", "true"]]
    assert shared.is_folded
    assert not different.is_folded


def test_settings_of_a_single_run_are_not_folded(results: Results) -> None:
    results["runs"] = results["runs"][:1]
    (only,) = make_setting_tables(results)
    assert not only.is_folded
    assert len(only.rows) == 3


def test_fact_tables_put_splits_side_by_side(results: Results) -> None:
    splits, overall = make_fact_tables(results)
    assert [c.title for c in splits.columns] == ["Fact", "train", "test"]
    assert texts(column(splits, "test")) == ["1,925", "71.9", "1"]
    assert column(splits, "test")[2].note == "const_7"
    assert texts(column(overall, "Value")) == ["9,120"]


def test_facts_that_nobody_named_still_show() -> None:
    (table,) = make_fact_tables({"facts": {"new_share": 0.25, "odd": "word", "many": list(range(9))}})
    assert [texts(list(row.cells)) for row in table.rows] == [["New share (%)", "25.0"], ["Odd", "word"], ["Many", "9"]]
    assert table.rows[2].cells[1].note == "0, 1, 2, 3, 4, 5 and 3 more"


def test_cost_table(results: Results) -> None:
    table = make_cost_table(results, "test")
    assert table is not None
    assert texts(column(table, "Parameters"))[:7] == ["1,234,567"] * 6 + [NOTHING]
    assert texts(column(table, "Problems/s"))[:3] == ["100", "50.0", "100"]
    references = [row for row in table.rows if row.kind == "reference"]
    assert {row.cells[1].text for row in references} == {"beam 10"}
    assert "0.028" in [row.cells[4].text for row in references]


def test_curve_table_joins_train_and_dev_by_epoch(results: Results) -> None:
    table = make_curve_table(results)
    assert table is not None
    assert len(table.rows) == 8
    assert texts(list(table.rows[1].cells)) == [
        "lstm_lstm",
        "2",
        "1.000",
        "0.500",
        "20.0",
        "22.0",
        "1.00e-03",
        "2.0",
    ]


def test_run_and_environment_tables(results: Results) -> None:
    runs, environment = make_run_table(results), make_environment_table(results)
    assert runs is not None
    assert environment is not None
    assert texts(column(runs, "Command"))[1] == "myna math train configs/lstm_lstm_attn.toml"
    assert [texts(list(row.cells)) for row in environment.rows][-1] == ["torch", "2.13.0"]


def test_published_table_holds_them_all() -> None:
    rows = [texts(list(row.cells)) for row in make_published_table().rows]
    assert len(rows) > len(PUBLISHED)
    assert ["CipherCook/Text-to-Math-Equation", "lstm_lstm", NOTHING, "10", "72.9", "77.1", NOTHING] in rows


def test_published_figures_never_match_more_than_they_execute() -> None:
    both = [(p.exact_match, p.execution_accuracy) for p in PUBLISHED if p.exact_match and p.execution_accuracy]
    assert both
    assert all(0 < em <= execution < 1 for em, execution in both)


@pytest.mark.parametrize(
    "make",
    [
        lambda results: make_score_table(results, "test"),
        lambda results: make_failure_table(results, "test"),
        lambda results: make_cost_table(results, "test"),
        make_curve_table,
        make_run_table,
        make_environment_table,
    ],
)
@pytest.mark.parametrize(
    "results", [{}, {"runs": None, "baselines": 3, "environment": []}, {"runs": [], "baselines": [{}]}]
)
def test_no_table_without_figures(make: Callable[[Results], Table | None], results: Results) -> None:
    assert make(results) is None
