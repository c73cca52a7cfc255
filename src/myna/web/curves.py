"""The curves of a run, drawn as in the reports."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime
from math import ceil, floor

from myna.report.document import Panel
from myna.report.plots import Curve, draw_curves, slug
from myna.report.results import curve_of
from myna.web.listing import Run

_NOT_MEASURED = {"split", "epoch", "step", "minutes", "learning_rate"}
_KEPT = 32
"""Runs whose drawings are kept; each looker-on asks for them every few seconds."""
_drawn: OrderedDict[str, tuple[tuple[int, datetime], list[Panel]]] = OrderedDict()
_drawing = threading.Lock()  # matplotlib's settings are those of the whole process


def draw_run(run: Run) -> list[Panel]:
    """Return a panel for the loss and one for each measure, with train and val; drawn again for new lines."""
    with _drawing:
        # A run that was made anew may have as many lines.
        state = len(run.metrics), run.changed
        known, panels = _drawn.pop(run.name, (None, []))
        if known != state:
            panels = _draw(run)
        _drawn[run.name] = state, panels
        while len(_drawn) > _KEPT:
            _drawn.popitem(last=False)
        return panels


def _draw(run: Run) -> list[Panel]:
    """Draw the panels of a run."""
    names = dict.fromkeys(key for line in run.metrics for key in line if key not in _NOT_MEASURED)
    measures = [name for name in names if not name.startswith("train_")]
    panels = [_draw_measure(run, measure) for measure in sorted(measures, key=lambda name: name != "loss")]
    return [panel for panel in panels if panel]


def _draw_measure(run: Run, measure: str) -> Panel | None:
    """Draw one measure by epoch; None where no line has a number for it."""
    is_loss = measure == "loss"
    lines = {
        "train, as it learns": ("train", measure),
        "dev" if run.study == "math" else "val": ("val", measure),
        "train, as measured": ("val", f"train_{measure}"),
    }
    measured = {"curves": run.metrics}
    curves = [
        Curve(label, [(epoch, value if is_loss else 100 * value) for epoch, value in curve_of(measured, split, key)])
        for label, (split, key) in lines.items()
    ]
    heights = [value for curve in curves for _, value in curve.points]
    if not heights:
        return None
    span = (0.0, max(heights)) if is_loss else (10.0 * floor(min(heights) / 10), 10.0 * ceil(max(heights) / 10))
    title = measure.replace("_", " ").capitalize()
    return draw_curves(f"run-{slug(measure)}", title, "Loss" if is_loss else "%", curves, span)
