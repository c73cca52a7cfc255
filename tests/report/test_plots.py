from __future__ import annotations

from xml.etree import ElementTree

import pytest

from myna.report.drawing import SERIES
from myna.report.plots import Across, Curve, draw_cells, draw_curves, draw_dots, make_axes, spread_out


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], []), ([5.0], [5.0]), ([1.0, 9.0], [1.0, 9.0]), ([4.0, 6.0], [3.0, 7.0]), ([0.0, 5.0, 6.0], [-0.5, 3.5, 7.5])],
)
def test_labels_that_would_touch_are_spread_about_their_middle(values: list[float], expected: list[float]) -> None:
    # The last case: moving 5 and 6 apart brings 5 too near to 0, so all three are spread about 11 / 3.
    spread = spread_out(values, gap=4.0)
    assert spread == pytest.approx([v + (11 / 3 - 3.5 if len(values) == 3 else 0) for v in expected])


def readings(svg: str) -> list[str]:
    return [title.text or "" for title in ElementTree.fromstring(svg).iter("title")]


def test_lines_may_run_over_named_places_or_numbers_with_a_unit() -> None:
    curve = Curve("a", [(1.0, 10.0), (2.0, 5.0)])
    named = draw_curves("x", "t", "% solved", [curve], (0, 100), across=Across("Steps", ("one", "two or more")))
    assert readings(named.svg) == ["a, steps one: 10.0 %", "a, steps two or more: 5.000 %"]
    assert "two or more" in named.svg
    numbers = draw_curves("x", "t", "Nats", [curve], (0, 100), across=Across("Hidden", span=(0, 100), unit=" %"))
    assert readings(numbers.svg) == ["a, hidden 1 %: 10.0", "a, hidden 2 %: 5.000"]
    assert "Hidden (%)" in numbers.svg


def test_dots_have_a_row_for_each_thing_and_leave_out_what_is_not_known() -> None:
    panel = draw_dots("x", "t", "% of all", ["first", "$\\second"], [("a", [10.0, None]), ("b", [0.0, 20.0])])
    assert readings(panel.svg) == ["first, a: 10.0 %", "first, b: 0.000 %", "$\\second, b: 20.0 %"]
    texts = [text.text for text in ElementTree.fromstring(panel.svg).iter("text")]
    assert {"first", "$\\second", "a", "b", "% of all"} <= set(texts)


def test_cells_are_fuller_the_larger_their_share() -> None:
    _, axes = make_axes(2, right=0.1)
    shares = {(0, 0): 1.0, (0, 1): 0.05, (1, 0): 0.04}
    said = draw_cells(axes, "c", shares, (10, 5), SERIES[0], lambda row, column: f"{row} {column}")
    assert said == {"c-10": ["0 0"], "c-1": ["0 1", "1 0"]}
    alphas = {line.get_gid(): line.get_alpha() for line in axes.get_lines()}
    assert alphas == {"c-10": 1.0, "c-1": 0.1}
