"""The figures of the math study, built from its results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from myna.report.document import Figure, Panel
from myna.report.drawing import INK, RULE, SERIES, draw_svg
from myna.report.measures import (
    SUBSETS,
    Line,
    Results,
    chosen_lines,
    curve_of,
    is_chosen_on_dev,
    lines_of,
    runs_of,
    titles_of,
)

_WIDTH = 4.5
"""Of a panel in inches: narrow, so that a phone need not shrink its text."""
_FONT_SIZE = 9
_LETTER_WIDTH = 0.075
"""Of a letter in inches, on average, at that size."""
_LONGEST_LABEL = 26
_MARKERS = ("o", "s", "^", "D", "v", "P")
_SUBSET_MARKS: dict[str, dict[str, Any]] = {
    "seen": {"marker": "o", "markersize": 6.5, "markeredgewidth": 0},
    "novel": {"marker": "s", "markersize": 7.5, "markeredgewidth": 1.5, "fillstyle": "none"},
    "far": {"marker": "^", "markersize": 5.5, "markeredgewidth": 0},
}
"""Shapes that can be told apart where they lie on one another."""
_MEASURES = {"exact_match": "Exact match", "execution_accuracy": "Execution accuracy"}


@dataclass(frozen=True)
class _Curve:
    """A named line of (epoch, value) points."""

    label: str
    points: list[tuple[float, float]]


def draw_loss_figure(results: Results) -> Figure | None:
    """Return the loss on train and dev by epoch: a panel for each run, all on the same axes."""
    runs = runs_of(results)
    curves = {
        title: [_Curve("train", curve_of(run, "train", "loss")), _Curve("dev", curve_of(run, "val", "loss"))]
        for run, title in zip(runs, titles_of(runs), strict=True)
    }
    drawn = {title: pair for title, pair in curves.items() if any(curve.points for curve in pair)}
    if not drawn:
        return None
    highest = max(value for pair in drawn.values() for curve in pair for _, value in curve.points)
    panels = tuple(
        _draw_curves(f"loss-{i}-{_slug(title)}", title, "Loss (nats a token)", pair, highest)
        for i, (title, pair) in enumerate(drawn.items(), 1)
    )
    caption = (
        "Training loss is what training lowers, with dropout, label smoothing and the decoder's own tokens where the"
        " settings have them; dev loss is measured without any of these, so a gap between the two is not a measure of"
        " overfitting by itself."
    )
    return Figure("loss", "Loss by epoch", caption, panels)


def draw_dev_figure(results: Results) -> Figure | None:
    """Return exact match and execution accuracy on dev by epoch: all runs together, and the baselines as levels."""
    runs = runs_of(results)
    baselines = [line for line in lines_of(results, "dev") if line.kind == "baseline"]
    panels = []
    for measure, title in _MEASURES.items():
        curves = [
            _Curve(label, [(epoch, 100 * value) for epoch, value in curve_of(run, "val", measure)])
            for run, label in zip(runs, titles_of(runs), strict=True)
        ]
        levels = [(line.title, 100 * value) for line in baselines if (value := line.share(measure)) is not None]
        if any(curve.points for curve in curves):
            panels.append(_draw_curves(f"dev-{_slug(measure)}", title, "% of the dev problems", curves, 100, levels))
    if not panels:
        return None
    caption = "Each epoch's model, decoded greedily." + (
        " Dashed: the baselines, which learn nothing." if baselines else ""
    )
    return Figure("dev-curves", "Scores on dev by epoch", caption, tuple(panels))


def draw_subset_figure(results: Results, split: str) -> Figure | None:
    """Return exact match and execution accuracy on seen, novel and far problems: runs beside baselines."""
    lines = chosen_lines(results, split) + [line for line in lines_of(results, split) if line.kind == "baseline"]
    lines = [line for line in lines if any(line.share(m, subset) is not None for m in _MEASURES for subset in SUBSETS)]
    if not lines:
        return None
    panels = tuple(
        _draw_dots(f"subsets-{_slug(m)}", title, f"% of the {split} problems of each kind", lines, m)
        for m, title in _MEASURES.items()
    )
    search = "the search that is best for it on dev" if is_chosen_on_dev(results) else "its most guided search"
    caption = (
        "Seen: the masked text is also in training. Novel: it is not. Far: nothing in training is near."
        f" Each trained model with {search}."
    )
    return Figure("subsets", f"Seen, novel and far problems of {split}", caption, panels)


def _draw_curves(
    name: str,
    title: str,
    axis_title: str,
    curves: Sequence[_Curve],
    highest: float,
    levels: Sequence[tuple[str, float]] = (),
) -> Panel:
    """Draw lines over epochs from 0 to `highest`, each labelled at its end; `levels` are dashed across."""
    labels = [_shorten(curve.label) for curve in curves if curve.points] + [_shorten(label) for label, _ in levels]
    canvas, axes = _make_axes(2.9, right=0.2 + _LETTER_WIDTH * max(map(len, labels)))
    last_epoch = max(epoch for curve in curves for epoch, _ in curve.points)
    top = 1.05 * highest or 1.0
    axes.set(xlim=(min(0.5, last_epoch), last_epoch + 0.5), ylim=(0, top), xlabel="Epoch")
    axes.set_title(axis_title, loc="left", fontsize=_FONT_SIZE, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    points, ends, unit = {}, [], " %" if axis_title.startswith("%") else ""
    for i, curve in enumerate(curves):
        if not curve.points:
            continue
        colour, gid = SERIES[i % len(SERIES)], f"{name}-curve-{i}"
        epochs, values = zip(*curve.points, strict=True)
        size = 3.5 if len(epochs) <= 40 else 2
        axes.plot(epochs, values, color=colour, linewidth=1.5)
        markers = axes.plot(
            epochs, values, _MARKERS[i % len(_MARKERS)], color=colour, markersize=size, markeredgewidth=0
        )
        markers[0].set(gid=gid, clip_on=False)
        points[gid] = [f"{curve.label}, epoch {epoch:g}: {_plain(value)}{unit}" for epoch, value in curve.points]
        ends.append((_shorten(curve.label), values[-1], colour))
    for label, value in levels:
        axes.axhline(value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        ends.append((_shorten(label), value, INK))
    _label_ends(axes, ends, top)
    return Panel(name, title, draw_svg(canvas, name, f"{title}: {axis_title}", points))


def _label_ends(axes: Axes, ends: list[tuple[str, float, str]], top: float) -> None:
    """Write each label beside the end of its line, and labels that would touch a little apart."""
    ends = sorted(ends, key=lambda end: end[1])
    heights = spread_out([value for _, value, _ in ends], gap=0.075 * top)
    for (label, _, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            label,
            (1, height),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=_FONT_SIZE,
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


def _draw_dots(name: str, title: str, axis_title: str, lines: Sequence[Line], measure: str) -> Panel:
    """Draw a row for each line with a mark for each subset."""
    row_height = 0.46
    canvas, axes = _make_axes(0.75 + row_height * len(lines), left=0.12, right=0.15, top=0.3)
    axes.set(xlim=(-2, 102), ylim=(len(lines) - 0.4, -0.75), xlabel=axis_title, yticks=[])
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.grid(axis="y", visible=False)
    for y, line in enumerate(lines):
        axes.axhline(y, color=RULE, linewidth=0.6)
        axes.annotate(
            line.title,
            (0, y),
            xytext=(0, 7),
            textcoords="offset points",
            color=INK,
            fontsize=_FONT_SIZE,
            parse_math=False,
        )
    points = {}
    for i, subset in enumerate(SUBSETS):
        known = [
            (y, line.title, value) for y, line in enumerate(lines) if (value := line.share(measure, subset)) is not None
        ]
        gid = f"{name}-{subset}"
        axes.plot(
            [100 * value for _, _, value in known],
            [y for y, _, _ in known],
            color=SERIES[i],
            **_SUBSET_MARKS[subset],
            linestyle="none",
            clip_on=False,
            gid=gid,
            label=subset,
        )
        points[gid] = [f"{label}, {subset}: {_plain(100 * value)} %" for _, label, value in known]
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(SUBSETS),
        frameon=False,
        fontsize=_FONT_SIZE,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0,
        borderpad=0.2,
    )
    return Panel(name, title, draw_svg(canvas, name, f"{title}: {axis_title}", points))


def _make_axes(height: float, *, left: float = 0.45, right: float, top: float = 0.35) -> tuple[Canvas, Axes]:
    """Return a canvas with axes in the page's colours; margins and height are in inches."""
    canvas = Canvas(figsize=(_WIDTH, height))
    canvas.patch.set_visible(False)
    axes = canvas.add_axes((left / _WIDTH, 0.5 / height, 1 - (left + right) / _WIDTH, 1 - (top + 0.5) / height))
    axes.patch.set_visible(False)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(color=RULE, labelcolor=INK, labelsize=_FONT_SIZE, length=0, pad=4)
    axes.xaxis.label.set(color=INK, fontsize=_FONT_SIZE)
    return canvas, axes


def _shorten(label: str) -> str:
    """Cut the middle out of a label that would leave no room for its line: labels differ most at their ends."""
    half = _LONGEST_LABEL // 2
    return label if len(label) <= _LONGEST_LABEL else f"{label[: half - 1]}…{label[-half:]}"


def _plain(value: float) -> str:
    """Return a value as the read-out shows it."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _slug(text: str) -> str:
    """Return letters and digits with hyphens, for file names and ids."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "x"
