from __future__ import annotations

import pytest

from myna.report.math.published import Published
from myna.report.math.trends import compare_with_reported, draw_trend, find_direction, say_trend


@pytest.mark.parametrize(
    ("shares", "shape", "direction"),
    [
        ({0.3: 0.1, 0.6: 0.2, 0.9: 0.3}, "EM rises with the ratio: 10.0 at 0.3, 20.0 at 0.6 and 30.0 at 0.9", 1),
        ({0.3: 0.3, 0.9: 0.2}, "EM falls with the ratio: 30.0 at 0.3 and 20.0 at 0.9", -1),
        ({1: 0.1, 2: 0.3, 3: 0.2}, "EM is highest at 2: 10.0 at 1, 30.0 at 2 and 20.0 at 3", 1),
        ({1: 0.3, 2: 0.1, 3: 0.3}, "EM is highest at 1 and 3: 30.0 at 1, 10.0 at 2 and 30.0 at 3", 0),
        ({1: 0.3, 2: 0.30001}, "EM is the same at each: 30.0 at 1 and 30.0 at 2", 0),
    ],
)
def test_the_shape_follows_the_figures_as_they_are_shown(
    shares: dict[float, float], shape: str, direction: int
) -> None:
    assert say_trend("EM", shares, "ratio") == shape
    assert find_direction(shares) == direction


def test_lines_are_drawn_over_the_places_of_all() -> None:
    em = "exact_match"
    ours = {"ours": {1: {em: 0.5, "intervals": {em: [0.4, 0.6]}}, 20: {em: 0.6}}}
    panel = draw_trend("t", "Beam size", ours, [{10.0: Published("theirs/repository", "m", 0.2, None)}], em)
    assert panel is not None
    assert panel.title == "EM"
    assert "ours, beam size 20: 60.0 %" in panel.svg
    assert "theirs, beam size 10: 20.0 %" in panel.svg
    assert draw_trend("t", "Beam size", {"ours": {1: {}}}, [], em) is None


def test_ours_that_disagree_are_not_set_beside_others() -> None:
    theirs = [{1.0: Published("s", "m", 0.2, None), 10.0: Published("s", "m", 0.3, None)}]
    up, down = {1.0: 0.1, 10.0: 0.2}, {1.0: 0.2, 10.0: 0.1}
    assert compare_with_reported(theirs, [up], "beam") == [
        "Others report, of one training each: s (m): EM rises with the beam: 20.0 at 1 and 30.0 at 10. From the lowest"
        " beam to the highest, 1 of the 1 moves the way that ours does."
    ]
    for ours in ([up, down], [{1.0: 0.1}], []):
        (sentence,) = compare_with_reported(theirs, ours, "beam")
        assert sentence.endswith("30.0 at 10.")
    assert compare_with_reported([], [up], "beam") == []
