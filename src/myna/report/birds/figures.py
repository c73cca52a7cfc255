"""The figures of a birds study, built from its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, floor, sqrt

from myna.report.birds.measures import SHARES, Confusion, Variant, floors_of, rank, variants_of
from myna.report.document import Figure, Panel
from myna.report.drawing import INK, RULE, SERIES, draw_svg
from myna.report.plots import FONT_SIZE, LETTER_WIDTH, WIDTH, Curve, draw_cells, draw_curves, make_axes, shorten, slug
from myna.report.results import Points, Results

_CELL_HEIGHT = 0.145
"""Of the confusion matrix in inches: a row holds a class name."""


@dataclass(frozen=True)
class _Measure:
    """Something to draw over epochs: where it is in a line of metrics, and how it becomes a height."""

    title: str
    name: str
    scale: Callable[[float], float] = lambda value: value


_MEASURES = (
    _Measure("Error", "accuracy", lambda share: 100 * (1 - share)),
    *(_Measure(title, name, lambda share: 100 * share) for name, title in SHARES.items()),
)
_LOSSES = (
    ("Training loss", "train", _Measure("As training sees it", "loss")),
    ("Training photos", "val", _Measure("Training photos, without augmentation", "train_loss")),
    ("Val photos", "val", _Measure("Val photos", "loss")),
)


def draw_measure_figure(results: Results, split: str) -> Figure | None:
    """Return error, accuracy, micro F1 and macro F1 of train or val by epoch: all settings together."""
    variants, panels = variants_of(results), []
    floors = rank(floors_of(results), "val") if split == "val" else []
    for measure in _MEASURES:
        curves = _make_curves(variants, "val", measure, "train_" if split == "train" else "")
        # Both splits have the same axes, so that their figures can be compared.
        both = [*curves, *_make_curves(variants, "val", measure, "" if split == "train" else "train_")]
        heights = [each.value("val", measure.name) for each in floors[:1]]
        levels = [("floor", measure.scale(height)) for height in heights if height is not None]
        if any(curve.points for curve in curves):
            span = _find_span(both, [height for _, height in levels], 10)
            name = f"{split}-{slug(measure.title)}"
            panels.append(draw_curves(name, measure.title, f"% of the {split} photos", curves, span, levels))
    if not panels:
        return None
    photos = (
        "As many training photos as val has, seen without augmentation."
        if split == "train"
        else "All val photos." + (f" Dashed: {floors[0].title}, the best of the floors." if floors else "")
    )
    caption = (
        f"{photos} {_describe_lines(variants)} With one class a photo, micro F1 is accuracy, and the error what it"
        " leaves; the assignment asks for all of them."
    )
    return Figure(f"{split}-curves", f"Scores on {split} by epoch", caption, tuple(panels), is_folded=split == "train")


def draw_loss_figure(results: Results) -> Figure | None:
    """Return the loss as training sees it, of training photos, and of val photos by epoch."""
    variants = variants_of(results)
    drawn = [(title, measure, _make_curves(variants, split, measure)) for title, split, measure in _LOSSES]
    drawn = [(title, measure, curves) for title, measure, curves in drawn if any(curve.points for curve in curves)]
    if not drawn:
        return None
    span = _find_span([curve for *_, curves in drawn for curve in curves], [], 0.5)
    panels = tuple(
        draw_curves(f"loss-{slug(title)}", measure.title, "Loss (nats a photo)", curves, span)
        for title, measure, curves in drawn
    )
    caption = (
        f"{_describe_lines(variants)} What training lowers has augmented photos and label smoothing where the settings"
        " have them, so that it may lie above the loss of val."
    )
    return Figure("loss", "Loss by epoch", caption, panels)


def draw_gap_figure(results: Results) -> Figure | None:
    """Return accuracy of train against val by epoch: a panel for each setting."""
    measure = _MEASURES[1]
    pairs = {
        variant.title: [
            Curve(split, _scaled(variant.curve("val", prefix + measure.name), measure))
            for split, prefix in (("train", "train_"), ("val", ""))
        ]
        for variant in variants_of(results)
    }
    drawn = {title: pair for title, pair in pairs.items() if all(curve.points for curve in pair)}
    if not drawn:
        return None
    span = _find_span([curve for pair in drawn.values() for curve in pair], [], 10)
    panels = tuple(
        draw_curves(f"gap-{i}-{slug(title)}", title, "% of the photos", pair, span)
        for i, (title, pair) in enumerate(drawn.items(), 1)
    )
    caption = "Accuracy; training photos without augmentation. The further apart, the more is learnt by heart."
    return Figure("gaps", "Train against val", caption, panels, is_folded=True)


def draw_confusion_figure(confusion: Confusion, title: str) -> Figure:
    """Return the confusion matrix as a map: rows are the truth, columns what was said."""
    n = len(confusion.names)
    labels = [f"{shorten(name)} {i}" for i, name in enumerate(confusion.names, 1)]
    height = 0.85 + _CELL_HEIGHT * n
    left = 0.12 + 0.9 * LETTER_WIDTH * max(map(len, labels))
    canvas, axes = make_axes(height, left=left, right=0.1)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), xlabel="Taken for")
    axes.set_yticks(range(n), labels, fontsize=0.9 * FONT_SIZE, parse_math=False)
    marked = [i for i in range(n) if i == 0 or (i + 1) % 5 == 0]
    axes.set_xticks(marked, [str(i + 1) for i in marked])
    axes.grid(visible=False)
    for i in marked:
        axes.axvline(i, color=RULE, linewidth=0.5)
        axes.axhline(i, color=RULE, linewidth=0.5)
    axes.set_title("Truth", loc="left", fontsize=FONT_SIZE, color=INK)
    width = 72 * (WIDTH - left - 0.1) / n
    readings: dict[str, list[str]] = {}
    for i_colour, cells in enumerate(_part(confusion)):
        size = width, 72 * _CELL_HEIGHT
        readings |= draw_cells(
            axes, f"confusion-{i_colour}", cells, size, SERIES[i_colour], partial(_read_cell, confusion)
        )
    svg = draw_svg(canvas, "confusion", f"{title}: confusion matrix", readings)
    caption = (
        "A row is a class, a column what its photos were taken for, by number. The diagonal is right, the rest is"
        " mistaken; the fuller the colour, the larger the share of the class (the root of it, so that few mistakes"
        " can be seen too)."
    )
    return Figure("confusion", "Confusion matrix", caption, (Panel("confusion", title, svg),))


def _part(confusion: Confusion) -> tuple[dict[tuple[int, int], float], dict[tuple[int, int], float]]:
    """Return the roots of the shares that are not 0 by (truth, said): those that are right, and the mistaken."""
    right: dict[tuple[int, int], float] = {}
    wrong: dict[tuple[int, int], float] = {}
    for truth, row in enumerate(confusion.counts):
        for said, count in enumerate(row):
            if count:
                (right if truth == said else wrong)[truth, said] = sqrt(confusion.share(truth, said))
    return right, wrong


def _read_cell(confusion: Confusion, truth: int, said: int) -> str:
    count, n, share = confusion.counts[truth][said], sum(confusion.counts[truth]), confusion.share(truth, said)
    name = confusion.names[truth]
    what = "rightly named" if truth == said else f"taken for {confusion.names[said]}"
    return f"{name} {what}: {count} of {n} ({100 * share:.1f} %)"


def _make_curves(variants: Sequence[Variant], split: str, measure: _Measure, prefix: str = "") -> list[Curve]:
    """Return a measure's curve of each setting: the mean over its seeds, and their range."""
    curves = []
    for variant in variants:
        middle, low, high = (
            _scaled(variant.curve(split, prefix + measure.name, combine), measure) for combine in (_mean, min, max)
        )
        has_band = len(variant.runs) > 1
        curves.append(Curve(variant.title, middle, low if has_band else (), high if has_band else ()))
    return curves


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _scaled(points: Points, measure: _Measure) -> Points:
    return [(epoch, measure.scale(value)) for epoch, value in points]


def _find_span(curves: Sequence[Curve], levels: Sequence[float], step: float) -> tuple[float, float]:
    """Return the lowest and highest value, rounded outwards to a multiple of a step."""
    values = [value for curve in curves for edge in (curve.points, curve.low, curve.high) for _, value in edge]
    values += levels
    return step * floor(min(values) / step), step * ceil(max(values) / step)


def _describe_lines(variants: Sequence[Variant]) -> str:
    """Say what a line is, where some setting has several seeds."""
    if all(len(variant.runs) == 1 for variant in variants):
        return "One seed each."
    return "A line is the mean over seeds, up to the last epoch that all of them reached, its band their range."
