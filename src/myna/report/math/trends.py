"""How scores move along a setting with a few values: in cells, in words and in a drawing, beside what others report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import ceil, floor

from myna.report.document import Cell, Column, Panel, percent_cell
from myna.report.math.measures import SPLITS
from myna.report.math.published import PUBLISHED, Published
from myna.report.plots import Across, Curve, draw_curves
from myna.report.results import Points, Results, Score, as_number, in_percent, interval, join_words

MEASURES = {"exact_match": "EM", "execution_accuracy": "Exec", "token_match": "Token match"}
IN_TEXT = MEASURES | {"token_match": "token match"}
"""The measures as they are called within a sentence."""
SCORE_COLUMNS = tuple(Column(name, s.capitalize(), best="high") for s in SPLITS for name in MEASURES.values())
Shares = Mapping[float, float]
"""A share by the value of the setting, in rising order."""
Reported = Mapping[float, Published]
"""What one source reports of one model, by the value of the setting, in rising order."""


def make_score_cells(scores: Mapping[str, Score]) -> list[Cell]:
    """Return the cells under `SCORE_COLUMNS` for scores by split."""
    return [
        percent_cell(as_number(score.get(measure)), interval(score, measure))
        for score in (scores.get(split, {}) for split in SPLITS)
        for measure in MEASURES
    ]


def find_reported(results: Results, place: Callable[[Published], float | None]) -> list[Reported]:
    """Return what others report of one model at several values of a setting; none beside a generated sample.

    Args:
        results: of a study.
        place: gives the value that a figure belongs to, None for one that does not belong there.
    """
    by_model: dict[tuple[str, str], dict[float, Published]] = {}
    for each in () if results.get("is_generated") else PUBLISHED:
        value = place(each)
        if value is not None:
            by_model.setdefault((each.source, each.model), {})[value] = each
    return [dict(sorted(own.items())) for own in by_model.values() if len(own) > 1]


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
    name: str, along: str, ours: Mapping[str, Mapping[float, Score]], reported: Sequence[Reported], measure: str
) -> Panel | None:
    """Draw a measure against the values of a setting, evenly spaced, with a band where it has intervals.

    Args:
        name: unique in the report.
        along: the setting.
        ours: scores by value, under the label of each line.
        reported: by others, a line each.
        measure: which.
    """
    theirs = {
        next(iter(own.values())).owner: {value: each.line.score for value, each in own.items()} for own in reported
    }
    curves = {**ours, **theirs}
    places = sorted({value for scores in curves.values() for value in scores})
    drawn = [_make_curve(label, scores, measure, places) for label, scores in curves.items()]
    heights = [value for curve in drawn for edge in (curve.points, curve.low, curve.high) for _, value in edge]
    if not heights:
        return None
    span = 10.0 * floor(min(heights) / 10), 10.0 * ceil(max(heights) / 10)
    across = Across(along, tuple(f"{place:g}" for place in places))
    return draw_curves(name, MEASURES[measure], "% of the problems", drawn, span, across=across)


def find_span(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return 0 and the largest value of curves and their bands."""
    return 0.0, max(value for curve in curves for edge in (curve.points, curve.high) for _, value in edge)


def compare_with_reported(reported: Sequence[Reported], ours: Sequence[Shares], along: str) -> list[str]:
    """Say how exact match moves elsewhere, and how many of those move the way that ours does, if ours agree.

    Args:
        reported: by others.
        ours: exact match of one or more models at several values.
        along: the setting.
    """
    parts, directions = [], []
    for own in reported:
        shares = {value: each.exact_match for value, each in own.items() if each.exact_match is not None}
        if len(shares) > 1:
            first = next(iter(own.values()))
            parts.append(f"{first.source} ({first.model}): {say_trend('EM', shares, along)}")
            directions.append(find_direction(shares))
    if not parts:
        return []
    sentence = f"Others report, of one training each: {'; '.join(parts)}."
    our_directions = {find_direction(shares) for shares in ours if len(shares) > 1}
    if len(our_directions) == 1:
        n_alike = sum({direction} == our_directions for direction in directions)
        sentence += (
            f" From the lowest {along} to the highest, {n_alike or 'none'} of the {len(parts)}"
            f" move{'s' * (n_alike <= 1)} the way that ours does."
        )
    return [sentence]


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
