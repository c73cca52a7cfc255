"""The figures of a math study, built from its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from myna.report.document import Figure, Panel
from myna.report.drawing import INK, RULE, SERIES, draw_svg
from myna.report.math.measures import SUBSETS, Line, chosen_lines, is_chosen_on_dev, lines_of
from myna.report.plots import FONT_SIZE, Curve, draw_curves, make_axes, plain, slug
from myna.report.results import Results, curve_of, titled_runs

_SUBSET_MARKS: dict[str, dict[str, Any]] = {
    "seen": {"marker": "o", "markersize": 6.5, "markeredgewidth": 0},
    "novel": {"marker": "s", "markersize": 7.5, "markeredgewidth": 1.5, "fillstyle": "none"},
    "far": {"marker": "^", "markersize": 5.5, "markeredgewidth": 0},
}
"""Shapes that can be told apart where they lie on one another."""
_MEASURES = {"exact_match": "Exact match", "execution_accuracy": "Execution accuracy"}


def draw_loss_figure(results: Results) -> Figure | None:
    """Return the loss on train and dev by epoch: a panel for each run, all on the same axes."""
    curves = {
        title: [Curve("train", curve_of(run, "train", "loss")), Curve("dev", curve_of(run, "val", "loss"))]
        for run, title in titled_runs(results)
    }
    drawn = {title: pair for title, pair in curves.items() if any(curve.points for curve in pair)}
    if not drawn:
        return None
    highest = max(value for pair in drawn.values() for curve in pair for _, value in curve.points)
    panels = tuple(
        draw_curves(f"loss-{i}-{slug(title)}", title, "Loss (nats a token)", pair, (0, highest))
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
    baselines = [line for line in lines_of(results, "dev") if line.kind == "baseline"]
    panels = []
    for measure, title in _MEASURES.items():
        curves = [
            Curve(label, [(epoch, 100 * value) for epoch, value in curve_of(run, "val", measure)])
            for run, label in titled_runs(results)
        ]
        levels = [(line.title, 100 * value) for line in baselines if (value := line.share(measure)) is not None]
        if any(curve.points for curve in curves):
            panels.append(draw_curves(f"dev-{slug(measure)}", title, "% of the dev problems", curves, (0, 100), levels))
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
        _draw_dots(f"subsets-{slug(m)}", title, f"% of the {split} problems of each kind", lines, m)
        for m, title in _MEASURES.items()
    )
    search = "the search that is best for it on dev" if is_chosen_on_dev(results) else "its most guided search"
    caption = (
        "Seen: the masked text is also in training. Novel: it is not. Far: nothing in training is near."
        f" Each trained model with {search}."
    )
    return Figure("subsets", f"Seen, novel and far problems of {split}", caption, panels)


def _draw_dots(name: str, title: str, axis_title: str, lines: Sequence[Line], measure: str) -> Panel:
    """Draw a row for each line with a mark for each subset."""
    row_height = 0.46
    canvas, axes = make_axes(0.75 + row_height * len(lines), left=0.12, right=0.15, top=0.3)
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
            fontsize=FONT_SIZE,
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
        points[gid] = [f"{label}, {subset}: {plain(100 * value)} %" for _, label, value in known]
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(SUBSETS),
        frameon=False,
        fontsize=FONT_SIZE,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0,
        borderpad=0.2,
    )
    return Panel(name, title, draw_svg(canvas, name, f"{title}: {axis_title}", points))
