from __future__ import annotations

from typing import Any

import pytest

from myna.report.document import Notes, Table
from myna.report.math.comparisons import (
    comparisons_of,
    describe_gains,
    describe_models,
    make_baseline_table,
    make_model_table,
)
from myna.report.math.figures import draw_dev_figure, draw_loss_figure, draw_subset_figure
from myna.report.math.published import PUBLISHED
from myna.report.math.tables import make_score_table

Results = dict[str, Any]


def found(table: Table | None) -> Table:
    assert table is not None
    return table


def said(notes: Notes | None) -> str:
    assert notes is not None
    return "\n".join(notes.sentences)


def test_model_table_has_every_two_models_by_both_measures(models: Results) -> None:
    table = found(make_model_table(models))
    assert len(table.rows) == 2 * 10
    assert table.is_folded
    cells = [cell.text for cell in table.rows[0].cells]
    assert cells[:6] == ["lstm_lstm", "lstm_lstm_attn", "EM", "plain search, beam 10", "1", "-5.0"]
    assert table.rows[0].cells[5].note == "-6.2 to -3.8"
    assert [row.cells[-1].text for row in table.rows].count("not more than noise") == 2
    assert "in the 10 comparisons of one measure" in table.caption


def test_the_leader_is_set_beside_each_other_model(models: Results) -> None:
    text = said(describe_models(models))
    assert "On test (plain search, beam 10), paired over problems, retrieval_lstm_attn leads in EM: by 13.0" in text
    assert "by 5.0 points over bert_lstm_attn_tuned (more than noise, adjusted p < 0.001)" in text
    assert "9 of the 10 paired comparisons of EM are more than noise." in text


def test_the_leader_follows_the_differences(models: Results) -> None:
    for each in comparisons_of(models, "models"):
        if "lstm_lstm" in (each["a"], each["b"]):
            each["difference"] = 0.2 if each["a"] == "lstm_lstm" else -0.2
            each["p_holm"] = 0.3
    assert (
        "lstm_lstm leads in EM: by 20.0 points over lstm_lstm_attn (not more than noise, adjusted p = 0.300)"
        in said(describe_models(models))
    )


def test_gains_are_told_for_all_novel_and_far_problems_with_what_may_be_noise(models: Results) -> None:
    text = said(describe_gains(models))
    assert (
        "lstm_lstm less nearest neighbour, in points: -11.0 of EM and -11.0 of Exec on all 1,925 problems, -1.0 of EM"
        " and -1.0 of Exec on the 541 novel problems, +7.0 of EM and +7.0 of Exec on the 96 far problems; not more than"
        " noise: EM on novel and Exec on novel."
    ) in text
    assert "retrieval_lstm_attn less look-up" in text
    for each in models["comparisons"]:
        each["p_holm"] = 0.01
    assert "not more than noise" not in said(describe_gains(models))


def test_baseline_table_has_a_row_for_each_model_and_baseline(models: Results) -> None:
    table = found(make_baseline_table(models))
    assert len(table.rows) == 5 * 2
    assert table.groups == [("", 2), ("All, n = 1,925", 2), ("Novel, n = 541", 2), ("Far, n = 96", 2)]
    cell = table.rows[1].cells[2]
    assert (cell.text, cell.note) == ("-11.0", "-12.2 to -9.8, p < 0.001")


@pytest.mark.parametrize("results", [{}, {"comparisons": 3}, {"comparisons": [{"what": "models"}]}])
def test_without_comparisons_nothing_is_said(results: Results) -> None:
    assert make_model_table(results) is None
    assert make_baseline_table(results) is None
    assert describe_models(results) is None
    assert describe_gains(results) is None


def test_figures_hold_five_models(models: Results) -> None:
    loss = draw_loss_figure(models)
    assert loss is not None
    assert len(loss.panels) == 5
    for figure in (draw_dev_figure(models), draw_subset_figure(models, "test")):
        assert figure is not None
        for panel in figure.panels:
            assert all(f"{label}, " in panel.svg for label in ("lstm_lstm", "retrieval_lstm_attn"))


def test_published_rows_are_of_the_models_that_a_study_has(models: Results) -> None:
    for run in models["runs"]:
        run["config"]["model.type"] = "bert_lstm_attn_tuned"
    rows = [row.cells[0].text for row in found(make_score_table(models, "test")).rows if row.kind == "published"]
    assert rows == ["bert_lstm_attn_tuned"]
    for run in models["runs"]:
        del run["config"]["model.type"]
    rows = [row.cells[0].text for row in found(make_score_table(models, "test")).rows if row.kind == "published"]
    assert len(rows) == sum(each.is_as_assigned and each.kind == "published" for each in PUBLISHED)
