"""Drawing what every report has: lines over epochs, and axes in the page's colours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from myna.report.document import Panel
from myna.report.drawing import INK, RULE, SERIES, draw_svg
from myna.report.results import Points

Read = Callable[[int, int], str]
"""What a cell of a grid says, by row and column."""

WIDTH = 4.5
"""Of a panel in inches: narrow, so that a phone need not shrink its text."""
FONT_SIZE = 9
LETTER_WIDTH = 0.075
"""Of a letter in inches, on average, at that size."""
LINE_HEIGHT = 0.155
"""Of a label in inches, at that size."""
_LONGEST_LABEL = 26
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_ROW_HEIGHT = 0.46
"""Of a row of dots in inches: its name, and below it the marks."""
_DOTS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "markersize": 6.5, "markeredgewidth": 0},
    {"marker": "s", "markersize": 7.5, "markeredgewidth": 1.5, "fillstyle": "none"},
    {"marker": "^", "markersize": 5.5, "markeredgewidth": 0},
    {"marker": "D", "markersize": 7, "markeredgewidth": 1.5, "fillstyle": "none"},
    {"marker": "v", "markersize": 5.5, "markeredgewidth": 0},
)
"""Marks that can be told apart where they lie on one another."""
_SHADES = 10
"""Of a colour in a grid."""
_FEW_CURVES = 3
"""Up to so many, each point is marked; more would lie on one another."""


@dataclass(frozen=True)
class Curve:
    """A named line over epochs.

    Attributes:
        label: stands at its end.
        points: of the line.
        low, high: edges of the band about it; empty for none.
    """

    label: str
    points: Points
    low: Points | tuple[()] = ()
    high: Points | tuple[()] = ()


@dataclass(frozen=True)
class Across:
    """What lines run over.

    Attributes:
        title: of the axis.
        names: of the places 1, 2, ...; empty where the axis has numbers.
        span: its ends; None is from 0.5 to half a step past the last point.
        unit: of a number, for the read-out.
    """

    title: str
    names: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    unit: str = ""

    def read(self, x: float) -> str:
        """Return a place for the read-out."""
        return (
            f"{self.title[:1].lower()}{self.title[1:]} {self.names[int(x) - 1] if self.names else f'{x:g}'}{self.unit}"
        )


def draw_curves(
    name: str,
    title: str,
    axis_title: str,
    curves: Sequence[Curve],
    span: tuple[float, float],
    levels: Sequence[tuple[str, float]] = (),
    across: Across | None = None,
) -> Panel:
    """Draw lines over epochs or something else, each labelled at its end.

    Args:
        name: unique in the report.
        title: of the panel.
        axis_title: what the height means; "%" at its start is the unit of the read-out.
        curves: at least one with points; one without is left out and keeps its colour.
        span: lowest and highest value of all panels that are to be compared.
        levels: named heights, dashed across.
        across: what the lines run over; None is epochs.
    """
    across = across or Across("Epoch")
    labels = [shorten(curve.label) for curve in curves if curve.points] + [shorten(label) for label, _ in levels]
    height = max(2.9, 1.0 + LINE_HEIGHT * len(labels))
    canvas, axes = make_axes(height, right=0.2 + LETTER_WIDTH * max(map(len, labels)))
    epochs = [epoch for curve in curves for epoch, _ in curve.points]
    first, last = (0.5, max(epochs) + 0.5) if across.span is None else across.span
    bottom, top = span[0], span[0] + (1.05 * (span[1] - span[0]) or 1.0)
    axes.set(
        xlim=(min(first, *epochs), last),
        ylim=(bottom, top),
        xlabel=across.title + (f" ({across.unit.strip()})" if across.unit else ""),
    )
    axes.set_title(axis_title, loc="left", fontsize=FONT_SIZE, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if across.names:
        axes.set_xticks(range(1, len(across.names) + 1), across.names, parse_math=False)
    readings, ends, unit = {}, [], " %" if axis_title.startswith("%") else ""
    is_crowded = sum(bool(curve.points) for curve in curves) > _FEW_CURVES
    for i, curve in enumerate(curves):
        if curve.points:
            gid = f"{name}-curve-{i}"
            _draw_curve(axes, curve, i, gid, is_crowded)
            readings[gid] = [f"{curve.label}, {across.read(x)}: {plain(value)}{unit}" for x, value in curve.points]
            ends.append((shorten(curve.label), curve.points[-1][1], SERIES[i % len(SERIES)]))
    for label, value in levels:
        axes.axhline(value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        ends.append((shorten(label), value, INK))
    label_ends(axes, ends, gap=LINE_HEIGHT / (height - 0.85) * (top - bottom))
    return Panel(name, title, draw_svg(canvas, name, f"{title}: {axis_title}", readings))


def draw_dots(
    name: str,
    title: str,
    axis_title: str,
    rows: Sequence[str],
    series: Sequence[tuple[str, Sequence[float | None]]],
    span: tuple[float, float] | None = None,
) -> Panel:
    """Draw a row for each thing, with a mark for its value in each of several series.

    Args:
        name: unique in the report.
        title: of the panel.
        axis_title: what the values are; "%" at its start is their unit.
        rows: names of the things, from the top.
        series: names, and a value for each row; None is left out.
        span: lowest and highest value of the axis; None is from 0 to a little above the highest value.
    """
    n_columns = len(series) if sum(len(label) + 4 for label, _ in series) * LETTER_WIDTH < WIDTH - 0.3 else 1
    top = 0.12 + 0.18 * -(-len(series) // n_columns)
    canvas, axes = make_axes(0.45 + top + _ROW_HEIGHT * len(rows), left=0.12, right=0.15, top=top)
    low, high = span or (0.0, max((value for _, values in series for value in values if value), default=1.0))
    margin = 0.02 * (high - low)
    axes.set(xlim=(low - margin, high + margin), ylim=(len(rows) - 0.4, -0.75), xlabel=axis_title, yticks=[])
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.grid(axis="y", visible=False)
    for y, row in enumerate(rows):
        axes.axhline(y, color=RULE, linewidth=0.6)
        style: dict[str, Any] = {"color": INK, "fontsize": FONT_SIZE, "parse_math": False}
        axes.annotate(row, (low, y), xytext=(0, 7), textcoords="offset points", **style)
    readings, unit = {}, " %" if axis_title.startswith("%") else ""
    for i, (label, values) in enumerate(series):
        known = [(y, row, value) for y, (row, value) in enumerate(zip(rows, values, strict=True)) if value is not None]
        gid = f"{name}-dots-{i}"
        mark: dict[str, Any] = _DOTS[i % len(_DOTS)] | {"color": SERIES[i % len(SERIES)], "linestyle": "none"}
        heights, places = [y for y, _, _ in known], [value for _, _, value in known]
        axes.plot(places, heights, **mark, clip_on=False, gid=gid, label=shorten(label))
        readings[gid] = [f"{row}, {label}: {plain(value)}{unit}" for _, row, value in known]
    _add_legend(axes, n_columns)
    return Panel(name, title, draw_svg(canvas, name, f"{title}: {axis_title}", readings))


def draw_cells(
    axes: Axes, name: str, shares: Mapping[tuple[int, int], float], size: tuple[float, float], colour: str, read: Read
) -> dict[str, list[str]]:
    """Draw the cells of a grid, the fuller the colour the larger the share; return what they say when pointed at.

    Args:
        axes: a column for each x and a row for each y, from 0.
        name: of these cells, unique in the drawing.
        shares: from 0 to 1 by (row, column).
        size: of a cell in points: width, height.
        colour: of a share of 1.
        read: what a cell says.
    """
    shaded: dict[int, list[tuple[int, int]]] = {}
    for cell, share in shares.items():
        shaded.setdefault(max(1, ceil(_SHADES * share)), []).append(cell)
    readings = {}
    for shade, cells in shaded.items():
        gid = f"{name}-{shade}"
        width, height = size
        box = [(-width, -height), (width, -height), (width, height), (-width, height), (-width, -height)]
        places = [column for _, column in cells], [row for row, _ in cells]
        look: dict[str, Any] = {"linestyle": "none", "markeredgewidth": 0, "color": colour, "alpha": shade / _SHADES}
        axes.plot(*places, marker=box, markersize=max(size), **look, clip_on=False, gid=gid)
        readings[gid] = [read(row, column) for row, column in cells]
    return readings


def _add_legend(axes: Axes, n_columns: int) -> None:
    """Name the marks above a drawing."""
    legend = axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=n_columns,
        frameon=False,
        fontsize=FONT_SIZE,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0,
        borderpad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_curve(axes: Axes, curve: Curve, i: int, gid: str, is_crowded: bool) -> None:
    """Draw a line with its band and its points, which can be pointed at; among many only some are easily seen."""
    colour, marker = SERIES[i % len(SERIES)], _MARKERS[i % len(_MARKERS)]
    epochs, values = zip(*curve.points, strict=True)
    axes.plot(epochs, values, color=colour, linewidth=1.5)
    if curve.low and curve.high:
        lows, highs = ([value for _, value in edge] for edge in (curve.low, curve.high))
        axes.fill_between([epoch for epoch, _ in curve.low], lows, highs, color=colour, alpha=0.13, linewidth=0)
    size = 2 if is_crowded or len(epochs) > 40 else 3.5
    points = axes.plot(epochs, values, marker, color=colour, markersize=size, markeredgewidth=0)
    points[0].set(gid=gid, clip_on=False)
    if is_crowded:
        step = ceil(len(epochs) / 6)
        some = slice(i % step, None, step)
        axes.plot(epochs[some], values[some], marker, color=colour, markersize=5, markeredgewidth=0, clip_on=False)


def label_ends(axes: Axes, ends: list[tuple[str, float, str]], gap: float, at: float | None = None) -> None:
    """Write each label beside the end of its line, and labels that would touch a little apart.

    Args:
        axes: with the lines.
        ends: label, height and colour of each.
        gap: least distance of two labels.
        at: where the lines end; None is the right end of the axes.
    """
    ends = sorted(ends, key=lambda end: end[1])
    heights = spread_out([value for _, value, _ in ends], gap)
    for (label, _, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            label,
            (1 if at is None else at, height),
            xycoords=("axes fraction" if at is None else "data", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=FONT_SIZE,
            parse_math=False,
            annotation_clip=False,
        )


def spread_out(values: Sequence[float], gap: float) -> list[float]:
    """Move values that lie closer than `gap` apart, each group about its own middle.

    Args:
        values: in rising order.
        gap: least distance between two of the results.
    """
    groups: list[list[float]] = []
    for value in values:
        groups.append([value])
        # Groups of n and m labels need (n + m) / 2 gaps between their middles.
        while len(groups) > 1 and mean(groups[-1]) - mean(groups[-2]) < gap * (len(groups[-1]) + len(groups[-2])) / 2:
            last = groups.pop()
            groups[-1] += last
    return [mean(group) + gap * (i - (len(group) - 1) / 2) for group in groups for i in range(len(group))]


def make_axes(
    height: float, *, left: float = 0.45, right: float, top: float = 0.35, bottom: float = 0.5
) -> tuple[Canvas, Axes]:
    """Return a canvas with axes in the page's colours; margins and height are in inches."""
    canvas = Canvas(figsize=(WIDTH, height))
    canvas.patch.set_visible(False)
    axes = canvas.add_axes((left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height))
    axes.patch.set_visible(False)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(color=RULE, labelcolor=INK, labelsize=FONT_SIZE, length=0, pad=4)
    axes.xaxis.label.set(color=INK, fontsize=FONT_SIZE)
    return canvas, axes


def shorten(label: str) -> str:
    """Cut the middle out of a label that would leave no room for its line: labels differ most at their ends."""
    half = _LONGEST_LABEL // 2
    return label if len(label) <= _LONGEST_LABEL else f"{label[: half - 1]}…{label[-half:]}"


def plain(value: float) -> str:
    """Return a value as the read-out shows it."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def slug(text: str) -> str:
    """Return letters and digits with hyphens, for file names and ids."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "x"
