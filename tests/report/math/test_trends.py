from __future__ import annotations

import pytest

from myna.report.math.trends import draw_trend, find_direction, say_trend


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
    curves = {"ours": {1: {"em": 0.5, "intervals": {"em": [0.4, 0.6]}}, 20: {"em": 0.6}}, "theirs": {10: {"em": 0.2}}}
    panel = draw_trend("t", "EM", "% of problems", "Beam size", curves, "em")
    assert panel is not None
    assert "ours, beam size 20: 60.0 %" in panel.svg
    assert "theirs, beam size 10: 20.0 %" in panel.svg
    assert draw_trend("t", "EM", "%", "Beam size", {"ours": {1: {}}}, "em") is None
