from __future__ import annotations

from typing import Any

import pytest

from myna.report.birds.measures import Confusion
from myna.report.birds.published import PUBLISHED
from myna.report.birds.tables import (
    configs_of,
    make_class_table,
    make_comparison_table,
    make_confidence_table,
    make_cost_table,
    make_curve_table,
    make_mistake_table,
    make_paper_table,
    make_published_table,
    make_score_table,
    make_seed_table,
)
from myna.report.document import NOTHING, Cell, Table

Results = dict[str, Any]


def found(table: Table | None) -> Table:
    assert table is not None
    return table


def column(table: Table, title: str, group: str = "") -> list[Cell]:
    """The cells of the one column of a title, within the groups that begin so."""
    index = next(i for i, c in enumerate(table.columns) if c.title == title and c.group.startswith(group))
    return [row.cells[index] for row in table.rows]


def texts(cells: list[Cell]) -> list[str]:
    return [cell.text for cell in cells]


def test_score_table_has_settings_then_floors_then_published_of_the_same_norms(results: Results) -> None:
    table = found(make_score_table(results))
    kinds = [row.kind for row in table.rows]
    assert kinds == ["run"] * 7 + ["baseline"] * 3 + ["published"] * 8
    results["runs"] = results["runs"][:2]
    assert [row.kind for row in found(make_score_table(results)).rows].count("published") == 1
    assert "published" not in {row.kind for row in found(make_score_table(results | {"is_generated": True})).rows}


def test_score_table_shows_the_mean_over_seeds_with_its_interval(results: Results) -> None:
    for run, accuracy in zip(results["runs"][:2], (0.50, 0.52), strict=True):
        run["scores"]["test"]["accuracy"] = accuracy
    cell = column(found(make_score_table(results)), "Accuracy", "Test")[0]
    # The quantile of Student's t with one degree of freedom is 12.706, the standard error 0.01.
    assert (cell.text, cell.note) == ("51.0", "38.3 to 63.7")


def test_published_rows_get_no_mark_though_they_are_higher(results: Results) -> None:
    table = found(make_score_table(results))
    marks = {row.kind: {cell.mark for cell in row.cells} for row in table.rows}
    assert marks["published"] == {""}
    assert any("best" in {cell.mark for cell in row.cells} for row in table.rows if row.kind == "run")


def test_splits_that_nobody_measured_have_no_columns(results: Results) -> None:
    for run in results["runs"]:
        del run["scores"]["train"]
    groups = {c.group for c in found(make_score_table(results | {"is_generated": True})).columns}
    assert not any(group.startswith("Train") for group in groups)


def test_confidence_table_marks_low_errors(results: Results) -> None:
    for i, run in enumerate(results["runs"]):
        run["scores"]["test"]["calibration_error"] = 0.5 - 0.01 * i
    for floor in results["baselines"]:
        floor["scores"]["test"]["calibration_error"] = None
    cells = column(found(make_confidence_table(results)), "Calibration error", "Test")
    assert [cell.mark for cell in cells[:7]] == [""] * 6 + ["best"]
    assert texts(cells)[7:] == [NOTHING] * 3


def test_seed_table_is_there_where_there_are_several(results: Results) -> None:
    table = found(make_seed_table(results))
    assert table.is_folded
    assert texts(column(table, "System"))[:2] == ["bn, seed 0", "bn, seed 1"]
    results["runs"] = [run for run in results["runs"] if run["seed"] == 0]
    assert make_seed_table(results) is None


def test_comparison_table_says_it_in_words(results: Results) -> None:
    results["comparisons"] = [
        {"split": "test", "a": "gn", "b": "bn", "n_seeds": 3, "difference": 0.021, "low": -0.0001, "high": 0.05,
         "p": 0.012, "p_holm": 0.25},
        {"split": "test", "a": "gn", "b": "nn", "n_seeds": 3, "difference": -0.1, "p": 0.0001, "p_holm": 0.0021},
    ]  # fmt: skip
    first, second = found(make_comparison_table(results)).rows
    assert texts(list(first.cells)) == ["gn", "bn", "test", "3", "+2.1", "0.012", "0.250", "not more than noise"]
    assert first.cells[4].note == "+0.0 to +5.0"
    assert texts(list(second.cells))[4:] == ["-10.0", "< 0.001", "0.002", "more than noise"]


def test_class_table_begins_with_the_hardest() -> None:
    classes = [{"name": name, "n": 4, "precision": f1, "recall": f1, "f1": f1} for name, f1 in (("a", 0.9), ("b", 0.1))]
    table = found(make_class_table({"per_class": classes}, "x"))
    assert texts(column(table, "Class")) == ["b", "a"]
    assert make_class_table({}, "x") is None


def test_mistake_table_names_both_directions() -> None:
    table = found(make_mistake_table(Confusion(("a", "b"), ((5, 5), (2, 6))), "x"))
    assert [texts(list(row.cells)) for row in table.rows] == [
        ["a", "b", "5", "50.0", "2"],
        ["b", "a", "2", "25.0", "5"],
    ]
    assert make_mistake_table(Confusion(("a", "b"), ((5, 0), (0, 6))), "x") is None


def test_cost_table_counts_photos_from_steps(results: Results) -> None:
    run = results["runs"][0]
    results["runs"] = [run]
    run |= {"minutes": 2.0, "curves": [{"split": "train", "epoch": 1, "step": 300, "loss": 1.0}]}
    table = found(make_cost_table(results))
    assert texts(column(table, "Photos/s, training")) == ["80"]
    assert texts(column(table, "Multiply-adds a photo (millions)")) == ["30.1"]
    assert texts(column(table, "Layers")) == ["14"]


def test_curve_table_has_a_row_for_each_setting_and_epoch(results: Results) -> None:
    table = found(make_curve_table(results))
    assert len(table.rows) == 7 * 6
    assert table.is_folded


def test_configs_list_what_seeds_do_not_share(results: Results) -> None:
    title, config = configs_of(results)[0]
    assert title == "bn"
    assert config["training.seed"] == "0, 1"
    assert config["data.size"] == 64
    assert config["data.flip"] is True


def test_published_tables_hold_the_figures() -> None:
    rows = [texts(list(row.cells)) for row in make_published_table().rows]
    assert len(rows) == len(PUBLISHED)
    assert rows[4][1:] == ["bin, ResNet n = 2", "88.9", "89.0", "26.2", "85.6", "85.6", "85.9", "85.9", NOTHING]
    papers = [texts(list(row.cells)) for row in make_paper_table().rows]
    assert ["Wu and He 2018", "ImageNet, val error", "ResNet-50, bn, batch 2", "34.7"] in papers
    assert ["Nam and Kim 2018", "CIFAR-100, test accuracy", "bin", "75.88"] in papers


@pytest.mark.parametrize(
    "make",
    [
        make_score_table,
        make_confidence_table,
        make_seed_table,
        make_comparison_table,
        make_cost_table,
        make_curve_table,
    ],
)
@pytest.mark.parametrize("results", [{}, {"runs": None, "comparisons": 3}, {"runs": [{}], "baselines": [{}]}])
def test_no_table_without_figures(make: Any, results: Results) -> None:
    assert make(results) is None
