"""How a score moves along a setting with a few values, in words and in a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor

from myna.report.document import Panel
from myna.report.plots import Across, Curve, draw_curves
from myna.report.results import Points, Score, as_number, in_percent, interval, join_words

Shares = Mapping[float, float]
"""A share by the value of the setting, in rising order."""


def say_trend(name: str, shares: Shares, along: str) -> str:
    """Return "EM rises with the ratio: 45.1 at 0.3, 46.2 at 0.6 and 47.0 at 0.9".

    Args:
        name: of the measure.
        shares: two or more.
        along: the setting.
    """
    points = {value: in_percent(share) for value, share in shares.items()}
    figures = join_words([f"{point:.1f} at {value:g}" for value, point in points.items()])
    return f"{name} {_describe_shape(points, along)}: {figures}"


def find_direction(shares: Shares) -> int:
    """Return whether a score rises (1), falls (-1) or does neither (0) from the smallest value to the largest."""
    first, *_, last = (in_percent(share) for share in shares.values())
    return (last > first) - (last < first)


def draw_trend(
    name: str, title: str, axis_title: str, along: str, curves: Mapping[str, Mapping[float, Score]], measure: str
) -> Panel | None:
    """Draw a share against the values of a setting, evenly spaced, with a band where it has intervals.

    Args:
        name: unique in the report.
        title: of the panel.
        axis_title: what the height means.
        along: the setting.
        curves: scores by value, under the label of each line.
        measure: the share.
    """
    places = sorted({value for scores in curves.values() for value in scores})
    drawn = [_make_curve(label, scores, measure, places) for label, scores in curves.items()]
    heights = [value for curve in drawn for edge in (curve.points, curve.low, curve.high) for _, value in edge]
    if not heights:
        return None
    span = 10.0 * floor(min(heights) / 10), 10.0 * ceil(max(heights) / 10)
    across = Across(along, tuple(f"{place:g}" for place in places))
    return draw_curves(name, title, axis_title, drawn, span, across=across)


def find_span(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return 0 and the largest value of curves and their bands."""
    return 0.0, max(value for curve in curves for edge in (curve.points, curve.high) for _, value in edge)


def _describe_shape(points: Mapping[float, float], along: str) -> str:
    """Say whether figures rise, fall, or have a highest one in between."""
    values = list(points.values())
    steps = [after - before for before, after in pairwise(values)]
    if not any(steps):
        return "is the same at each"
    if all(step >= 0 for step in steps):
        return f"rises with the {along}"
    if all(step <= 0 for step in steps):
        return f"falls with the {along}"
    best = [f"{value:g}" for value, point in points.items() if point == max(values)]
    return f"is highest at {join_words(best)}"


def _make_curve(label: str, scores: Mapping[float, Score], measure: str, places: Sequence[float]) -> Curve:
    """Return a line in percent; it has a band where each of its points has an interval."""
    points: Points = []
    low: Points = []
    high: Points = []
    for place, value in enumerate(places, 1):
        score = scores.get(value, {})
        share, bounds = as_number(score.get(measure)), interval(score, measure)
        if share is not None:
            points.append((float(place), 100 * share))
            if bounds is not None:
                low.append((float(place), 100 * bounds[0]))
                high.append((float(place), 100 * bounds[1]))
    is_whole = len(points) == len(low)
    return Curve(label, points, low if is_whole else (), high if is_whole else ())
