"""The figures of a search: the score against each setting, and the learning curves of all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from matplotlib.ticker import MaxNLocator

from myna.report.document import Figure, Panel
from myna.report.drawing import INK, SERIES, draw_svg
from myna.report.grid.measures import (
    Trial,
    curve_of,
    effect_epoch,
    effects_of,
    is_share,
    name_metric,
    name_split,
    say_score,
    say_value,
    short,
    state_of,
    trials_in,
)
from myna.report.plots import FONT_SIZE, LETTER_WIDTH, LINE_HEIGHT, label_ends, make_axes, slug, spread_out
from myna.report.results import Points, Results, as_mapping

_SPREAD = 0.3
"""Over which the dots of one value are spread, of the distance to the next value."""
_FINISHED, _PRUNED, _BEST = SERIES[0], SERIES[5], SERIES[1]


def draw_effects(results: Results) -> Figure | None:
    """Return the score against each setting's values: a panel for each, a dot for each trial, a line for the means."""
    trials = [trial for trial in trials_in(results, "finished", "pruned") if _score_at(results, trial) is not None]
    effects = [effect for effect in effects_of(results) if len(effect["values"]) > 1]
    if not trials or not effects:
        return None
    panels = tuple(_draw_effect(results, effect, trials) for effect in effects)
    caption = (
        f"{name_metric(results).capitalize()} on {name_split(results)} after epoch {effect_epoch(results)}, the last"
        " that all these trials reached, so that pruned ones (hollow) stand beside finished ones (full). Line: the mean"
        " of each value's trials. Their other settings differ too: with a few trials a value, a line that rises may be"
        " the doing of those."
    )
    return Figure("grid-effects", "The score by setting", caption, panels)


def draw_trials(results: Results) -> Figure | None:
    """Return the learning curves of all trials, pruned ones marked."""
    trials = [trial for trial in trials_in(results, "finished", "pruned", "failed", "unfinished") if curve_of(trial)]
    if not trials:
        return None
    best = next(iter(trials_in(results, "finished")), None)
    panel = _draw_curves(results, trials, best)
    ends = [
        f"{kind}" for kind in ("pruned", "failed", "unfinished") if any(state_of(trial) == kind for trial in trials)
    ]
    caption = (
        f"Each line is a trial, with its number at its end. {'The best is set apart. ' if best else ''}"
        + (f"Dashed, to a cross: trials that did not come to their end ({', '.join(ends)})." if ends else "")
    ).strip()
    return Figure("grid-curves", f"{name_metric(results).capitalize()} by epoch", caption, (panel,))


def _draw_effect(results: Results, effect: Mapping[str, Any], trials: Sequence[Trial]) -> Panel:
    """Draw the trials' scores over the values of one setting."""
    key = effect["name"]
    choices = [row["value"] for row in effect["values"]]
    name = f"grid-{slug(key)}"
    canvas, axes = make_axes(2.6, right=0.15)
    values = [_shown(results, value) for trial in trials if (value := _score_at(results, trial)) is not None]
    axes.set(xlim=(0.5, len(choices) + 0.5), ylim=_span(values), xlabel=key)
    axes.set_xticks(range(1, len(choices) + 1), [say_value(choice) for choice in choices], parse_math=False)
    axes.set_title(_axis_title(results), loc="left", fontsize=FONT_SIZE, color=INK)
    means = [_shown(results, row["mean"]) for row in effect["values"]]
    axes.plot(range(1, len(choices) + 1), means, color=INK, linewidth=1.2)
    readings = {}
    for state, look in (("finished", {"fillstyle": "full"}), ("pruned", {"fillstyle": "none"})):
        points = [
            (x, _shown(results, value), trial)
            for x, trial in _place(choices, key, trials)
            if state_of(trial) == state and (value := _score_at(results, trial)) is not None
        ]
        if points:
            gid = f"{name}-{state}"
            style: dict[str, Any] = {"color": _FINISHED, "markersize": 6, "linestyle": "none", "gid": gid, **look}
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], "o", clip_on=False, **style)
            readings[gid] = [
                f"trial {trial['number']}, {short(key)} {say_value(trial['settings'][key])}, {state}:"
                f" {say_score(results, _score_at(results, trial) or 0.0)}"
                for _, _, trial in points
            ]
    return Panel(name, short(key), draw_svg(canvas, name, f"{short(key)}: {_axis_title(results)}", readings))


def _place(choices: Sequence[Any], key: str, trials: Sequence[Trial]) -> list[tuple[float, Trial]]:
    """Return a place across for each trial: beside one another where they share a value."""
    placed = []
    for x, choice in enumerate(choices, start=1):
        those = sorted((trial for trial in trials if trial["settings"][key] == choice), key=lambda each: each["number"])
        middle = mean(range(len(those))) if those else 0.0
        step = _SPREAD / max(1, len(those) - 1)
        placed += [(x + step * (i - middle), trial) for i, trial in enumerate(those)]
    return placed


def _draw_curves(results: Results, trials: Sequence[Trial], best: Trial | None) -> Panel:
    """Draw all trials over epochs."""
    name = "grid-trials"
    shown: list[tuple[Trial, Points]] = [
        (trial, [(epoch, _shown(results, value)) for epoch, value in curve_of(trial)]) for trial in trials
    ]
    n_finished = sum(state_of(trial) == "finished" for trial, _ in shown)
    height = max(3.4, 1.2 + LINE_HEIGHT * n_finished)
    canvas, axes = make_axes(height, right=0.2 + LETTER_WIDTH * 3)
    span, gap = _make_room(
        _span([value for _, points in shown for _, value in points]),
        sorted(points[-1][1] for trial, points in shown if state_of(trial) == "finished"),
        LINE_HEIGHT / (height - 0.85),
    )
    last = max(epoch for _, points in shown for epoch, _ in points)
    axes.set(xlim=(0.5, last + 0.5), ylim=span, xlabel="Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(_axis_title(results), loc="left", fontsize=FONT_SIZE, color=INK)
    readings = {}
    ends: dict[float | None, list[tuple[str, float, str]]] = {}  # by epoch; None is the right end
    for trial, points in reversed(shown):
        state, gid = state_of(trial), f"{name}-{trial['number']}"
        colour = _BEST if trial is best else _FINISHED if state == "finished" else _PRUNED
        epochs, values = zip(*points, strict=True)
        style: dict[str, Any] = {
            "linewidth": 2 if trial is best else 1,
            "linestyle": "-" if state == "finished" else "--",
        }
        axes.plot(epochs, values, color=colour, **style)
        axes.plot(epochs, values, "o", color=colour, markersize=3, markeredgewidth=0, clip_on=False, gid=gid)
        readings[gid] = [
            f"trial {trial['number']}, epoch {epoch:g}: {say_score(results, value)}" for epoch, value in curve_of(trial)
        ]
        is_cut = state != "finished"
        if is_cut:
            axes.plot(epochs[-1:], values[-1:], "x", color=INK, markersize=7, clip_on=False)
        ends.setdefault(epochs[-1] if is_cut else None, []).append((str(trial["number"]), values[-1], colour))
    for at, labels in ends.items():
        label_ends(axes, labels, gap, at)
    return Panel(name, "Trials", draw_svg(canvas, name, f"Trials: {_axis_title(results)}", readings))


def _make_room(span: tuple[float, float], ends: Sequence[float], gap_ratio: float) -> tuple[tuple[float, float], float]:
    """Widen an axis until the labels of some heights stand within it; return it, and the distance of two labels.

    Args:
        span: ends of the axis.
        ends: heights, in rising order.
        gap_ratio: the distance of two labels, as a share of the axis.
    """
    low, high = span
    for _ in range(5):
        gap = gap_ratio * (high - low)
        heights = spread_out(ends, gap) or [low]
        low, high = min(low, heights[0]), max(high, heights[-1])
    return (low, high), gap_ratio * (high - low)


def _axis_title(results: Results) -> str:
    return f"{'% ' if is_share(results) else ''}{name_metric(results)} on {name_split(results)}"


def _score_at(results: Results, trial: Trial) -> float | None:
    """Return a trial's score at the epoch at which all are compared."""
    return dict(curve_of(trial)).get(effect_epoch(results)) if as_mapping(trial.get("settings")) else None


def _shown(results: Results, value: float) -> float:
    return 100 * value if is_share(results) else value


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis that holds some values, with room beyond them."""
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room
