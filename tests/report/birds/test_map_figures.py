from __future__ import annotations

from typing import Any

import pytest

from myna.report.birds.map_figures import draw_deletion, draw_randomisation

Analysis = dict[str, Any]


@pytest.fixture
def analysis() -> Analysis:
    """What was measured on a few photos: the map is better than chance in deletion, and lost under random weights."""
    curves = {"gradcam": [0.5, 0.125, 0.0], "other photo": [0.5, 0.25, 0.0], "random": [0.5, 0.375, 0.0]}
    correlation = [{"mean": mean, "low": mean - 0.05, "high": mean + 0.05} for mean in (0.9, 0.3, -0.1)]
    return {
        "deletion": {"shares": [0.0, 0.5, 1.0], "curves": curves},
        "insertion": {"shares": [0.0, 0.5, 1.0], "curves": {"gradcam": [0.0, 0.75, 0.625]}},
        "randomisation": {"correlation": correlation, "other_photo": {"mean": 0.15}},
    }


def test_pixels_go_in_the_order_of_the_map_and_of_what_knows_nothing(analysis: Analysis) -> None:
    figure = draw_deletion(analysis)
    assert figure is not None
    assert [panel.title for panel in figure.panels] == ["Deletion", "Insertion"]
    deletion, insertion = (panel.svg for panel in figure.panels)
    assert "Grad-CAM, pixels deleted 50 %: 12.5 %" in deletion
    assert "another photo's, pixels deleted 50 %: 25.0 %" in deletion
    assert "random, pixels deleted 50 %: 37.5 %" in deletion
    assert "centre" not in deletion
    assert "Grad-CAM, pixels inserted 50 %: 75.0 %" in insertion


def test_maps_under_random_weights_stand_beside_those_of_different_photos(analysis: Analysis) -> None:
    figure = draw_randomisation(analysis)
    assert figure is not None
    (panel,) = figure.panels
    assert "same photo, layers with random weights 2: 0.300" in panel.svg
    assert "different photos" in panel.svg
    # The axis reaches down to the lowest interval.
    assert "same photo, layers with random weights 3: -0.100" in panel.svg


@pytest.mark.parametrize("kept", ["deletion", "randomisation", ""])
def test_what_was_not_measured_is_not_drawn(analysis: Analysis, kept: str) -> None:
    some = {key: value for key, value in analysis.items() if key == kept}
    deletion, randomisation = draw_deletion(some), draw_randomisation(some)
    assert (deletion is not None, randomisation is not None) == (kept == "deletion", kept == "randomisation")
