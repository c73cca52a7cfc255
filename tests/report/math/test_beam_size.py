from __future__ import annotations

from typing import Any

import pytest

from myna.report.document import NOTHING, Table
from myna.report.math.beam_size import (
    beams_of,
    describe_beams,
    draw_beam_figure,
    make_beam_table,
    make_beam_test_table,
)

Results = dict[str, Any]


def said(results: Results) -> str:
    notes = describe_beams(results)
    assert notes is not None
    return "\n".join(notes.sentences)


def found(table: Table | None) -> Table:
    assert table is not None
    return table


def scores_of(results: Results, split: str = "test") -> dict[int, dict[str, Any]]:
    return {score["beam_size"]: score for score in results["runs"][0]["scores"][split]}


def test_only_one_search_at_several_sizes_is_a_study_of_beams(beams: Results, models: Results) -> None:
    (tuned,) = beams_of(beams)
    assert (tuned.title, tuned.search, tuned.sizes) == ("bert_lstm_attn_tuned", "plain", [1, 10, 20])
    assert beams_of(models) == []
    for score in scores_of(beams).values():
        score["search"] = f"search of {score['beam_size']}"
    del beams["runs"][0]["scores"]["dev"]
    assert beams_of(beams) == []
    assert make_beam_table(beams) is None
    assert describe_beams(beams) is None
    assert draw_beam_figure(beams) is None


def test_table_is_in_order_of_size_with_published_figures(beams: Results) -> None:
    table = found(make_beam_table(beams))
    cells = [[cell.text for cell in row.cells] for row in table.rows]
    assert [row[1] for row in cells[:3]] == ["1", "10", "20"]
    assert cells[1][:6] == ["bert_lstm_attn_tuned", "10", "one seed", "63.0", "66.0", "83.0"]
    assert cells[1][-2:] == ["10.0", "9.60"]
    assert [row.kind for row in table.rows] == ["run"] * 3 + ["published"] * 3 + ["reference"] * 3
    assert cells[4][:6] == ["lstm_lstm_attn", "10", NOTHING, "65.7", NOTHING, NOTHING]
    assert "split not stated" in table.rows[4].cells[0].note
    assert cells[8][3:5] == ["36.8", "40.6"]
    assert "the references of test have 10.25 tokens" in table.caption
    assert {row.kind for row in found(make_beam_table(beams | {"is_generated": True})).rows} == {"run"}


def test_trend_of_each_measure(beams: Results) -> None:
    text = said(beams)
    assert "On test, EM of bert_lstm_attn_tuned is highest at 10: 60.0 at 1, 63.0 at 10 and 62.0 at 20." in text
    scores_of(beams)[20]["token_match"] = 0.9
    assert "token match of bert_lstm_attn_tuned rises with the beam: 80.0 at 1, 83.0 at 10 and 90.0 at 20" in said(
        beams
    )


def test_speed_and_length(beams: Results) -> None:
    text = said(beams)
    assert "decodes 100.0 problems of test a second at 1, 10.0 at 10 (0.10 times the speed) and 5.0 at 20 (0.05" in text
    assert "Its programs have 9.51 at 1, 9.60 at 10 and 9.70 at 20 tokens on average; the references of test" in text
    for score in scores_of(beams).values():
        del score["n_tokens"], score["problems_per_second"]
    assert "tokens" not in said(beams)
    assert "decodes" not in said(beams)


def test_paired_tests_between_sizes(beams: Results) -> None:
    assert (
        "beam 10 less beam 1 is +3.0 points of EM (more than noise, adjusted p < 0.001) and +3.0 points of Exec"
        in said(beams)
    )
    assert "beam 20 less beam 10 is -1.0 points of EM (not more than noise" in said(beams)
    table = found(make_beam_test_table(beams))
    assert [cell.text for cell in table.rows[0].cells[:4]] == [
        "bert_lstm_attn_tuned, beam 20",
        "beam 10",
        "EM",
        "plain search",
    ]
    assert len(table.rows) == 6
    assert make_beam_test_table({}) is None


@pytest.mark.parametrize(("last", "agree"), [(0.62, "2 of the 2 move the way"), (0.5, "none of the 2 moves the way")])
def test_published_beams_are_set_beside_ours(beams: Results, last: float, agree: str) -> None:
    scores_of(beams)[20]["exact_match"] = last
    text = said(beams)
    assert "CipherCook/Text-to-Math-Equation (lstm_lstm_attn): EM is highest at 10: 62.5 at 1, 65.7 at 10" in text
    assert "EM rises with the beam: 34.1 at 1, 36.6 at 10 and 36.8 at 20" in text
    assert agree in text
    assert "Others report" not in said(beams | {"is_generated": True})


def test_figure_shows_ours_beside_published_ones_and_the_speed(beams: Results) -> None:
    figure = draw_beam_figure(beams)
    assert figure is not None
    assert [panel.title for panel in figure.panels] == ["EM", "Exec", "Token match", "Speed"]
    exact, speed = figure.panels[0].svg, figure.panels[3].svg
    assert "test, beam size 20: 62.0 %" in exact
    assert "Joey NMT 2.3, beam size 1: 34.1 %" in exact
    assert "bert_lstm_attn_tuned, beam size 10: 10.0" in speed


def test_two_searches_are_told_apart(beams: Results) -> None:
    for split in ("dev", "test"):
        scores = beams["runs"][0]["scores"][split]
        scores += [score | {"search": "grammar"} for score in scores]
    titles = [each.title for each in beams_of(beams)]
    assert titles == ["bert_lstm_attn_tuned, plain", "bert_lstm_attn_tuned, grammar"]
