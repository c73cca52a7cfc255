from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from myna.report.document import Figure, Missing, Notes
from myna.report.math.attention import (
    describe_deletion,
    draw_deletion,
    draw_maps,
    missing_attention,
    show_attention,
)

Results = dict[str, Any]


@pytest.fixture
def attention(results: Results) -> dict[str, Any]:
    """What the second run of the small study attends to."""
    found: dict[str, Any] = results["runs"][1]["attention"]
    return found


def readings(svg: str) -> list[str]:
    return [title.text or "" for title in ElementTree.fromstring(svg).iter("title")]


def test_maps_are_of_both_kinds_with_words_down_and_tokens_across(attention: dict[str, Any]) -> None:
    figure = draw_maps(attention, "attn")
    assert figure is not None
    assert [panel.title.partition(":")[0] for panel in figure.panels] == ["Right", "Right", "Wrong", "Wrong"]
    svg = figure.panels[0].svg
    assert sorted(readings(svg)) == [
        "</s> on ?: 50 %",
        "</s> on a: 25 %",
        "</s> on n0: 25 %",
        "sqrt on a: 90 %",
        "sqrt on n0: 10 %",
    ]
    texts = [text.text for text in ElementTree.fromstring(svg).iter("text")]
    assert texts == ["sqrt", "</s>", "a", "n0", "?"]


def test_where_one_kind_is_scarce_the_other_fills_in(attention: dict[str, Any]) -> None:
    attention["maps"][0]["right"] = False
    figure = draw_maps(attention, "attn")
    assert figure is not None
    assert [panel.title[:5] for panel in figure.panels] == ["Right", "Wrong", "Wrong", "Wrong"]
    for each in attention["maps"]:
        each["right"] = True
    figure = draw_maps(attention, "attn")
    assert figure is not None
    assert len(figure.panels) == 4


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ((-3.0, -2.0, -1.0), "it needs the words that it attends to"),
        ((-3.0, -2.0, -2.5), "sparing them to the end does not help"),
        ((-2.0, -3.0, -1.0), "attention does not show what it needs"),
        ((-2.0, -2.0, -2.0), "attention does not show what it needs"),
    ],
)
def test_the_verdict_follows_from_the_areas(areas: tuple[float, ...], expected: str) -> None:
    deletion = {"n": 60, "areas": dict(zip(("attention", "random", "reversed"), areas, strict=True))}
    sentence = describe_deletion(deletion, "attn")
    assert expected in sentence
    assert f"60 problems its log-probability of a token is {areas[0]:.2f}" in sentence


def test_the_deletion_test_has_a_curve_for_each_order(attention: dict[str, Any]) -> None:
    figure = draw_deletion(attention["deletion"], "attn")
    assert figure is not None
    said = readings(figure.panels[0].svg)
    assert "attended first, words hidden 50 %: -1.000" in said
    assert len(said) == 3 * 3


def test_the_best_model_that_attends_is_shown_or_asked_for(results: Results) -> None:
    notes, maps, deletion = show_attention(results)
    assert isinstance(notes, Notes)
    assert notes.sentences[0].startswith("lstm_lstm_attn: it needs")
    assert isinstance(maps, Figure)
    assert isinstance(deletion, Figure)
    assert missing_attention(results) == []
    del results["runs"][1]["attention"]
    results["runs"][1]["config"]["model.type"] = "lstm_lstm_attn"
    command = "myna math explain small-lstm_lstm_attn"
    assert missing_attention(results) == [Missing("the attention of lstm_lstm_attn", command)]
    # What feeds its attention back cannot be asked.
    results["runs"][1]["config"]["model.input_feeding"] = True
    assert missing_attention(results) == []
    assert show_attention(results) == []


@pytest.mark.parametrize(
    "broken", [{}, {"maps": [{"words": ["a"]}]}, {"maps": [{"words": [], "tokens": [], "weights": []}]}]
)
def test_what_is_not_whole_is_left_out(broken: dict[str, Any]) -> None:
    assert draw_maps(broken, "attn") is None
    assert draw_deletion(broken, "attn") is None
    assert describe_deletion(broken, "attn") == ""
