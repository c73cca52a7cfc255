from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from myna.report.birds.figures import (
    draw_confusion_figure,
    draw_gap_figure,
    draw_loss_figure,
    draw_measure_figure,
)
from myna.report.birds.measures import Confusion
from myna.report.document import Figure
from myna.report.drawing import as_file

Results = dict[str, Any]


def readings(svg: str) -> list[str]:
    """What the points of a drawing say."""
    return [title.text or "" for title in ElementTree.fromstring(svg).iter("title")]


def words(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter("text")]


def draw(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def set_val(results: Results, accuracies: list[list[float]]) -> None:
    """Keep so many runs of the first label, with these val accuracies by epoch."""
    results["runs"] = results["runs"][: len(accuracies)]
    for run, values in zip(results["runs"], accuracies, strict=True):
        run["curves"] = [
            {"split": "val", "epoch": i, "accuracy": v, "train_accuracy": v + 0.1, "loss": 1 - v}
            for i, v in enumerate(values, 1)
        ]


def test_error_and_accuracy_are_of_the_mean_over_seeds(results: Results) -> None:
    set_val(results, [[0.2, 0.4], [0.4, 0.6]])
    error, accuracy = draw(draw_measure_figure(results, "val")).panels
    assert (error.title, accuracy.title) == ("Error", "Accuracy")
    assert readings(error.svg) == ["bn, epoch 1: 70.0 %", "bn, epoch 2: 50.0 %"]
    assert readings(accuracy.svg) == ["bn, epoch 1: 30.0 %", "bn, epoch 2: 50.0 %"]


def test_train_is_read_from_the_photos_without_augmentation(results: Results) -> None:
    set_val(results, [[0.2, 0.4]])
    figure = draw(draw_measure_figure(results, "train"))
    assert figure.is_folded
    assert readings(figure.panels[1].svg) == ["bn, epoch 1: 30.0 %", "bn, epoch 2: 50.0 %"]


def test_every_setting_is_labelled_and_the_best_floor_is_named(results: Results) -> None:
    figure = draw(draw_measure_figure(results, "val"))
    assert [panel.title for panel in figure.panels] == ["Error", "Accuracy", "Micro F1", "Macro F1"]
    for panel in figure.panels:
        assert {"bn", "in", "bin", "ln", "gn", "nn", "inbuilt", "floor"} <= set(words(panel.svg))
        assert len(readings(panel.svg)) == 7 * 6
    assert "Dashed: colour histogram k-nearest neighbour" in figure.caption


def test_loss_figure_has_what_there_is(results: Results) -> None:
    assert len(draw(draw_loss_figure(results)).panels) == 3
    set_val(results, [[0.2, 0.4]])
    (panel,) = draw(draw_loss_figure(results)).panels
    assert readings(panel.svg) == ["bn, epoch 1: 0.800", "bn, epoch 2: 0.600"]


def test_gap_figure_has_a_panel_for_each_setting(results: Results) -> None:
    set_val(results, [[0.2, 0.4]])
    (panel,) = draw(draw_gap_figure(results)).panels
    assert readings(panel.svg)[0] == "train, epoch 1: 30.0 %"
    assert readings(panel.svg)[2] == "val, epoch 1: 20.0 %"


def test_confusion_matrix_tells_every_cell_that_is_not_empty() -> None:
    confusion = Confusion(("a", "b", "c"), ((5, 0, 0), (3, 7, 0), (0, 0, 0)))
    (panel,) = draw_confusion_figure(confusion, "x").panels
    assert sorted(readings(panel.svg)) == [
        "a rightly named: 5 of 5 (100.0 %)",
        "b rightly named: 7 of 10 (70.0 %)",
        "b taken for a: 3 of 10 (30.0 %)",
    ]
    assert {"a 1", "b 2", "c 3"} <= set(words(panel.svg))


@pytest.mark.parametrize("name", ["<b>&", "$\\frac{", "x" * 200, "\x1b[31m\x00"])
def test_any_class_name_can_be_drawn(name: str) -> None:
    from myna.report.results import as_text

    (panel,) = draw_confusion_figure(Confusion((as_text(name), "b"), ((1, 0), (1, 1))), "x").panels
    ElementTree.fromstring(as_file(panel.svg))


def test_no_figure_without_points() -> None:
    empty: Results = {"runs": [{"name": "a"}]}
    assert draw_measure_figure(empty, "val") is None
    assert draw_loss_figure(empty) is None
    assert draw_gap_figure(empty) is None
