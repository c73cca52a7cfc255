from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from myna.report.document import NOTHING, Cell, Table
from myna.report.math.published import PUBLISHED
from myna.report.math.tables import (
    make_cost_table,
    make_curve_table,
    make_failure_table,
    make_published_table,
    make_score_table,
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


def test_score_table_has_a_row_for_each_search_and_baseline_and_published_model(results: Results) -> None:
    table = scores(results)
    # The small study has no BERT.
    n_published = sum(each.is_as_assigned and not each.model.startswith("bert") for each in PUBLISHED)
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
        ("", 3),
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


def test_failure_table_counts_by_reason(results: Results) -> None:
    table = make_failure_table(results, "test")
    assert table is not None
    assert texts(column(table, "All"))[:3] == ["4", "1", "0"]
    assert texts(column(table, "Share (%)"))[:3] == ["0.4", "0.1", "0.0"]
    assert texts(column(table, "too large"))[:3] == ["3", "0", "0"]
    assert column(table, "Share (%)")[2].mark == "best"


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
    ],
)
@pytest.mark.parametrize(
    "results", [{}, {"runs": None, "baselines": 3, "environment": []}, {"runs": [], "baselines": [{}]}]
)
def test_no_table_without_figures(make: Callable[[Results], Table | None], results: Results) -> None:
    assert make(results) is None
