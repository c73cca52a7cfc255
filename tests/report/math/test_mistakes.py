from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from myna.report.document import Missing
from myna.report.math.mistakes import (
    describe_mistakes,
    draw_mistake_figure,
    make_group_tables,
    make_kind_table,
    mistakes_of,
)
from myna.report.outline import build_report

Results = dict[str, Any]


def readings(svg: str) -> list[str]:
    return [title.text or "" for title in ElementTree.fromstring(svg).iter("title")]


def test_kinds_are_counted_for_each_run(results: Results) -> None:
    table = make_kind_table(mistakes_of(results, "test"), "test")
    assert table is not None
    assert [cell.text for cell in table.rows[0].cells] == ["exact match", "400", "40.0", "400", "40.0"]
    assert [cell.text for cell in table.rows[3].cells][:3] == ["too short", "320", "32.0"]
    assert [column.group for column in table.columns] == ["", *["lstm_lstm"] * 2, *["lstm_lstm_attn"] * 2]


def test_groups_have_a_table_each_and_operations_are_folded(results: Results) -> None:
    steps, cosine, operations = make_group_tables(mistakes_of(results, "test"), "test")
    assert [row.cells[0].text for row in steps.rows] == ["1", "2", "6 or more"]
    assert [cell.text for cell in steps.rows[2].cells][:4] == ["6 or more", "100", "10.0", "20.0"]
    assert [row.cells[0].text for row in cosine.rows] == ["under 0.7", "0.9–1.0", "seen"]
    assert (steps.is_folded, operations.is_folded) == (False, True)
    assert operations.rows[2].cells[2].text == "–"


def test_the_figure_shows_shares_and_what_is_solved(results: Results) -> None:
    figure = draw_mistake_figure(mistakes_of(results, "test"), "test")
    assert figure is not None
    kinds, steps, cosine = figure.panels
    assert "too short, lstm_lstm: 32.0 %" in readings(kinds.svg)
    assert not any("exact" in reading for reading in readings(kinds.svg))
    assert "lstm_lstm_attn, steps of the program 6+: 20.0 %" in readings(steps.svg)
    assert len(readings(cosine.svg)) == 2 * 3
    assert {"<0.7", "seen"} <= {text.text for text in ElementTree.fromstring(cosine.svg).iter("text")}


def test_sentences_say_what_goes_wrong_and_where(results: Results) -> None:
    notes = describe_mistakes(mistakes_of(results, "test"), "test")
    assert notes is not None
    kinds, lengths, nearness, operations = notes.sentences[:4]
    assert kinds == (
        "lstm_lstm gets 550 of 1,000 problems wrong; the most frequent: too short (320, 32.0 %), too long (200, 20.0 %)"
        " and does not run (30, 3.0 %). Another 50 (5.0 %) reach the right value by another program."
    )
    assert lengths == "lstm_lstm solves 90.0 % of programs of 1 step and 20.0 % of programs of 6 or more steps."
    assert "10.0 % of problems with a cosine under 0.7" in nearness
    assert "95.0 % of problems with their own text in training" in nearness
    # An operation in three problems says nothing.
    assert "worst where the reference has power (30.0 % of 100 solved)" in operations


def test_runs_without_counts_name_the_command(results: Results) -> None:
    del results["runs"][0]["mistakes"]
    assert list(mistakes_of(results, "test")) == ["lstm_lstm_attn"]
    section = next(s for s in build_report([results]).sections if s.section_id == "mistakes")
    assert section.blocks[-1] == Missing("the kinds of mistakes of lstm_lstm", results["command"])


def test_a_loose_run_names_the_command_that_measures_it(results: Results) -> None:
    for run in results["runs"]:
        del run["mistakes"]
        run["measure_commands"] = {"test": f"myna math eval {run['name']}"}
    (section,) = (s for s in build_report([results | {"is_loose": True}]).sections if s.section_id == "mistakes")
    assert [block.command for block in section.blocks if isinstance(block, Missing)] == [
        "myna math eval small-lstm_lstm",
        "myna math eval small-lstm_lstm_attn",
    ]


def test_nothing_counted_is_nothing_shown() -> None:
    assert describe_mistakes({}, "test") is None
    assert make_kind_table({}, "test") is None
    assert draw_mistake_figure({}, "test") is None
    assert make_group_tables({}, "test") == []
