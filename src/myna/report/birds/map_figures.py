"""What was measured on Grad-CAM maps, drawn: deletion and insertion curves, and maps under random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myna.report.document import Figure, Panel
from myna.report.plots import Across, Curve, draw_curves
from myna.report.results import Points, as_mapping, as_mappings, as_number, pair_points

_RANKINGS = {"gradcam": "Grad-CAM", "other photo": "another photo's", "centre": "centre", "random": "random"}
"""In which order pixels go, as people read it."""
_TESTS = {"deletion": "Pixels deleted", "insertion": "Pixels inserted"}

Analysis = Mapping[str, Any]


def draw_deletion(analysis: Analysis) -> Figure | None:
    """Return the probability of the correct class as pixels go in the order of the map, and in other orders.

    Args:
        analysis: as `myna.birds.map_analysis.analyse_maps` gives it.
    """
    curves = {test: found for test in _TESTS if (found := _read_curves(as_mapping(analysis.get(test))))}
    if not curves:
        return None
    highest = max(value for found in curves.values() for curve in found for _, value in curve.points)
    panels = tuple(_draw_test(test, found, highest) for test, found in curves.items())
    caption = (
        "Means over photos (after Petsiuk et al. 2018). Deletion puts the mean colour of training in the place of"
        " pixels, insertion puts pixels into the blurred photo: in the order of the map, or of what knows nothing of"
        " the photo (another photo's map, distance from the centre, random blobs). The sooner the probability falls,"
        " or rises, the better the order."
    )
    return Figure("map-deletion", "Deleting and inserting what the map marks", caption, panels)


def draw_randomisation(analysis: Analysis) -> Figure | None:
    """Return how much of the trained net's maps is left as its layers get random weights, from the output down."""
    figures = as_mapping(analysis.get("randomisation"))
    steps = list(enumerate(as_mappings(figures.get("correlation")), 1))
    points, low, high = (_read_points(steps, key) for key in ("mean", "low", "high"))
    if not points:
        return None
    floor = as_number(as_mapping(figures.get("other_photo")).get("mean"))
    levels = [] if floor is None else [("different photos", floor)]
    bottom = min([0.0, *(value for _, value in [*points, *low, *levels])])
    curve = Curve("same photo", points, low, high)
    across = Across("Layers with random weights", span=(0.5, len(steps) + 0.5))
    panel = draw_curves(
        "map-randomisation", "What stays of a map", "Rank correlation", [curve], (bottom, 1), levels, across
    )
    caption = (
        "The sanity check of Adebayo et al. (2018): weights become random layer by layer, from the output down. A map"
        " that stays as it was cannot say what the net has learned. Band: 95 % interval over photos; dashed: the"
        " trained net's maps of different photos."
    )
    return Figure("map-randomisation", "Maps under random weights", caption, (panel,))


def _draw_test(test: str, curves: Sequence[Curve], highest: float) -> Panel:
    across = Across(_TESTS[test], span=(0, 100), unit=" %")
    title = "% probability of the correct class"
    return draw_curves(f"map-{test}", test.capitalize(), title, curves, (0, highest), across=across)


def _read_curves(figures: Mapping[str, Any]) -> list[Curve]:
    """Return the curve of each ranking that has one, in percent over percent of pixels."""
    curves = as_mapping(figures.get("curves"))
    found = {label: pair_points(figures.get("shares"), curves.get(name)) for name, label in _RANKINGS.items()}
    return [Curve(label, [(100 * x, 100 * y) for x, y in points]) for label, points in found.items() if points]


def _read_points(steps: list[tuple[int, Mapping[str, Any]]], key: str) -> Points:
    return [(float(i), value) for i, step in steps if (value := as_number(step.get(key))) is not None]
