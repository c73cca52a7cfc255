from __future__ import annotations

from typing import Any

from myna.report.document import Table
from myna.report.facts import make_fact_tables
from myna.report.math.tables import FACT_TITLES


def rows(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


def tables(facts: dict[str, Any], titles: dict[str, str] | None = None) -> dict[str, Table]:
    return {table.title: table for table in make_fact_tables({"facts": facts}, titles or {})}


def test_fact_tables_put_splits_side_by_side(results: dict[str, Any]) -> None:
    splits, overall = make_fact_tables(results, FACT_TITLES)
    assert [c.title for c in splits.columns] == ["Fact", "train", "test"]
    assert [row[2] for row in rows(splits)] == ["1,925", "71.9", "1"]
    assert splits.rows[2].cells[2].note == "const_7"
    assert [row[1] for row in rows(overall)] == ["9,120"]


def test_facts_that_nobody_named_still_show() -> None:
    (table,) = make_fact_tables({"facts": {"new_share": 0.25, "odd": "word", "many": list(range(9))}}, {})
    assert rows(table) == [["New share (%)", "25.0"], ["Odd", "word"], ["Many", "9"]]
    assert table.rows[2].cells[1].note == "0, 1, 2, 3, 4, 5 and 3 more"


def test_mappings_within_splits_have_a_table_of_their_own_folded() -> None:
    splits = {split: {"photos": n, "formats": {"JPEG": n}} for split, n in (("train", 3), ("val", 1))}
    found = tables({"splits": splits})
    assert rows(found["Splits"]) == [["Photos", "3", "1"]]
    assert rows(found["Splits: formats"]) == [["JPEG", "3", "1"]]
    assert [table.is_folded for table in found.values()] == [False, True]


def test_parts_that_are_not_alike_have_a_table_each() -> None:
    found = tables({"bias": {"chance": 0.5, "accuracy": {"all": 0.25}, "recall": {"a": 1, "b": 2}}})
    assert list(found) == ["Bias", "Bias: accuracy", "Bias: recall"]


def test_a_title_in_percent_makes_its_values_shares() -> None:
    found = tables({"bias": {"accuracy": {"all": 0.25}, "recall": {"a": 1}}}, {"accuracy": "Accuracy (%)"})
    assert rows(found["Bias: accuracy (%)"]) == [["All", "25.0"]]


def test_a_share_is_known_by_its_name() -> None:
    assert rows(tables({"leaked": {"val": {"share": 0.5}}})["Leaked"]) == [["Share (%)", "50.0"]]


def test_items_are_listed_and_folded() -> None:
    items = [{"photo": f"{i}.jpg", "reason": None, "classes": ["a", "b"]} for i in range(50)]
    table = tables({"unreadable": items})["Overall: unreadable (50)"]
    assert table.is_folded
    assert rows(table)[0] == ["0.jpg", "–", "a b"]
    assert len(table.rows) == 40
    assert table.caption == "The first 40 of 50."


def test_many_parts_have_a_row_each() -> None:
    found = tables({"classes": {f"class {i}": {"photos": i} for i in range(20)}})
    assert rows(found["Classes"])[1] == ["class 1", "1"]
    assert found["Classes"].is_folded
