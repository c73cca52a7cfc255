"""The figures of a math study, built from its results."""

from __future__ import annotations

from myna.report.document import Figure
from myna.report.math.measures import SUBSETS, chosen_lines, is_chosen_on_dev, lines_of
from myna.report.plots import Curve, draw_curves, draw_dots, slug
from myna.report.results import Results, curve_of, titled_runs

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
        draw_dots(
            f"subsets-{slug(m)}",
            title,
            f"% of the {split} problems of each kind",
            [line.title for line in lines],
            [(subset, [_in_percent(line.share(m, subset)) for line in lines]) for subset in SUBSETS],
            (0, 100),
        )
        for m, title in _MEASURES.items()
    )
    search = "the search that is best for it on dev" if is_chosen_on_dev(results) else "its most guided search"
    caption = (
        "Seen: the masked text is also in training. Novel: it is not. Far: nothing in training is near."
        f" Each trained model with {search}."
    )
    return Figure("subsets", f"Seen, novel and far problems of {split}", caption, panels)


def _in_percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
