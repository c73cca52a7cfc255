from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from myna.report.document import Figure
from myna.report.drawing import as_file
from myna.report.math.figures import draw_dev_figure, draw_loss_figure, draw_subset_figure

Results = dict[str, Any]


def readings(svg: str) -> list[str]:
    """What the points of a drawing say."""
    return [title.text or "" for title in ElementTree.fromstring(svg).iter("title")]


def words(svg: str) -> str:
    return " ".join(text.text or "" for text in ElementTree.fromstring(svg).iter("text"))


def draw(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def test_loss_figure_has_a_panel_for_each_run_with_both_curves(results: Results) -> None:
    panels = draw(draw_loss_figure(results)).panels
    assert [panel.title for panel in panels] == ["lstm_lstm", "lstm_lstm_attn"]
    said = readings(panels[0].svg)
    assert said[:2] == ["train, epoch 1: 2.000", "train, epoch 2: 1.000"]
    assert said[4:] == ["dev, epoch 1: 1.000", "dev, epoch 2: 0.500", "dev, epoch 3: 0.333", "dev, epoch 4: 0.250"]
    assert {"train", "dev", "Epoch"} <= set(words(panels[0].svg).split())
    assert "Loss (nats a token)" in words(panels[0].svg)


def test_dev_figure_labels_runs_and_baselines(results: Results) -> None:
    exact, execution = draw(draw_dev_figure(results)).panels
    assert "lstm_lstm_attn, epoch 4: 40.0 %" in readings(exact.svg)
    assert "lstm_lstm, epoch 3: 33.0 %" in readings(execution.svg)
    assert "look-up baseline" in words(exact.svg)
    assert "% of the dev problems" in words(exact.svg)


def test_subset_figure_has_a_row_for_each_run_and_baseline(results: Results) -> None:
    exact, execution = draw(draw_subset_figure(results, "test")).panels
    assert "lstm_lstm, seen: 80.0 %" in readings(exact.svg)
    assert "look-up baseline, far: 5.000 %" not in readings(exact.svg)
    assert len(readings(execution.svg)) == 3 * 3
    assert {"seen", "novel", "far", "lstm_lstm_attn"} <= set(words(exact.svg).split())


def test_equal_input_gives_equal_drawings(small_study: Callable[[], Results]) -> None:
    first, second = small_study(), small_study()
    assert draw_dev_figure(first) == draw_dev_figure(second)
    assert draw_loss_figure(first) == draw_loss_figure(second)


def test_ids_are_unique_among_drawings_and_references_have_a_target(results: Results) -> None:
    figures = [draw_loss_figure(results), draw_dev_figure(results), draw_subset_figure(results, "test")]
    elements = [
        element for figure in figures for p in draw(figure).panels for element in ElementTree.fromstring(p.svg).iter()
    ]
    ids = [element.attrib["id"] for element in elements if "id" in element.attrib]
    references = [element.attrib["href"][1:] for element in elements if "href" in element.attrib]
    assert len(ids) == len(set(ids))
    assert references
    assert set(references) <= set(ids)


def test_drawings_take_the_colours_of_the_page_and_files_have_their_own(results: Results) -> None:
    svg = draw(draw_loss_figure(results)).panels[0].svg
    assert "var(--series-1)" in svg
    assert "#" not in svg.replace('"#', "").replace("url(#", "")
    text = as_file(svg)
    assert "var(" not in text
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("name", ["<b>&", "$\\frac{", "x" * 200, "नमस्ते", "\x1b[31m\x00", ""])
def test_any_name_can_be_drawn(results: Results, name: str) -> None:
    for run in results["runs"]:
        run["label"] = run["name"] = name
    for figure in (draw_loss_figure(results), draw_dev_figure(results), draw_subset_figure(results, "test")):
        for panel in draw(figure).panels:
            ElementTree.fromstring(as_file(panel.svg))


def test_what_is_not_a_number_is_left_out(results: Results) -> None:
    results["runs"] = results["runs"][:1]
    for point in results["runs"][0]["curves"][:2]:
        point["loss"] = float("nan")
    (panel,) = draw(draw_loss_figure(results)).panels
    assert len(readings(panel.svg)) == 6


def test_a_single_point_is_a_curve(results: Results) -> None:
    results["runs"][0]["curves"] = [{"split": "train", "epoch": 1, "loss": 0.0}]
    results["runs"] = results["runs"][:1]
    assert len(draw(draw_loss_figure(results)).panels) == 1
    assert draw_dev_figure(results) is None


def test_no_figure_without_points() -> None:
    assert draw_loss_figure({}) is None
    assert draw_dev_figure({"runs": [{"name": "a"}]}) is None
    assert draw_subset_figure({}, "test") is None
